/** The log of the benchmark's processes. */
import { createLogger } from "../../common/logger.ts";
import { ValkeyLog } from "../../relay/log/valkey/valkey-log.ts";

export const log = createLogger("silent");

/** A node's log with the defaults of the configuration, and a grace that no hiccup reaches. */
export function sharedLog(enginePort: number): ValkeyLog {
  return new ValkeyLog({
    address: { url: () => `redis://127.0.0.1:${enginePort}` },
    prefix: "rtm",
    grace: 60_000,
    bytes: 128 * 1024 * 1024,
    age: 900_000,
    ids: 100_000,
    retained: { count: 10_000, bytes: 32 * 1024 * 1024 },
    log,
  });
}

import { pino } from "pino";
import { ValkeyLog, type ValkeyLogOptions } from "../../relay/log/valkey/valkey-log.ts";

/** A log with short times, so that faults are noticed soon. */
export function valkeyLog(url: string, more: Partial<ValkeyLogOptions> = {}): ValkeyLog {
  return new ValkeyLog({
    address: { url: () => url },
    prefix: "rtm",
    grace: 2000,
    bytes: 16 * 1024 * 1024,
    age: 900_000,
    ids: 100_000,
    retained: { count: 1000, bytes: 1024 * 1024 },
    log: pino({ level: process.env.RTM_TEST_LOG ?? "silent" }),
    ...more,
  });
}

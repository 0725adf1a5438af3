/** What `rtm doctor` wants to know of an engine. It changes nothing there. */
import { type EngineAddress, EngineConnection } from "./connection.ts";
import { EngineUnreachableError } from "./errors.ts";
import { hailsChannel } from "./hails.ts";
import { engineKeys } from "./keys.ts";
import { missingEventRights, needRights } from "./rights.ts";
import { type Engine, parseInfo } from "./suitability.ts";

export interface EngineReport {
  readonly engine: Engine;
  readonly roundTripMs: number;
  /** Bytes; `max` 0: no limit. */
  readonly memory: { readonly used: number; readonly max: number };
  readonly policyKnown: boolean;
  /** Whether it keeps an append-only file. */
  readonly saves: boolean;
  /** Undefined where no node has used this log yet. */
  readonly epoch: string | undefined;
  readonly entries: number;
  /** Rules that the user lacks for events between clients. */
  readonly missingForEvents: readonly string[];
}

/** @throws {RtmError} as a node's start would */
export async function inspectEngine(address: EngineAddress, prefix: string): Promise<EngineReport> {
  const connection = await EngineConnection.open(address);
  try {
    const keys = engineKeys(prefix);
    await needRights(connection, keys);
    const begun = performance.now();
    await connection.call("PING", []);
    const roundTripMs = performance.now() - begun;
    const sections = ["memory", "persistence"];
    const texts = await Promise.all(sections.map((name) => connection.call("INFO", [name])));
    const info = parseInfo(texts.join("\n"));
    const [epoch] = (await connection.call("HMGET", [keys.state, "e"])) as [string | null];
    return {
      engine: connection.engine,
      roundTripMs,
      memory: { used: Number(info.get("used_memory")), max: Number(info.get("maxmemory") ?? 0) },
      policyKnown: info.has("maxmemory_policy"),
      saves: info.get("aof_enabled") === "1",
      epoch: epoch ?? undefined,
      entries: (await connection.call("XLEN", [keys.log])) as number,
      missingForEvents: await missingEventRights(
        connection,
        keys,
        hailsChannel(prefix, address.url()),
      ),
    };
  } finally {
    connection.destroy(new EngineUnreachableError("done"));
  }
}

/** Attach, which is also the probe: is this engine the one whose history we know, and where is it? */

import { randomUUID } from "node:crypto";
import type { EngineConnection } from "./connection.ts";
import type { EngineKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { ATTACH } from "./scripts.ts";

export interface Attached {
  readonly epoch: string;
  readonly generation: number;
  /** Number of the last entry; 0 in a new epoch. */
  readonly n: number;
  /** Its token; empty in a new epoch. */
  readonly token: string;
  /** Why this call began a new epoch; empty when it did not. */
  readonly why: string;
  /** Names the engine's process. */
  readonly runId: string;
}

/**
 * @param keepFrom the first entry of the caller's epoch to keep; 0 trims nothing
 * @throws {RtmError} what the connection throws
 */
export async function attach(
  connection: EngineConnection,
  keys: EngineKeys,
  knowledge: Knowledge,
  keepFrom = 0,
): Promise<Attached> {
  const witnesses = knowledge.witnesses.flatMap(({ epoch, n, token }) => [epoch, n, token]);
  const reply = (await connection.run(
    ATTACH,
    [keys.state, keys.log, keys.table("node")],
    [
      randomUUID(),
      knowledge.generation,
      keepFrom,
      knowledge.cursor.epoch,
      keys.tables,
      knowledge.time(),
      ...witnesses,
    ],
  )) as readonly [string, number, number, string, string, string];
  const [epoch, generation, n, token, why, runId] = reply;
  knowledge.sawGeneration(generation);
  return { epoch, generation, n, token, why, runId };
}

/**
 * The keys of one log in the engine.
 *
 * They have one hash tag, so one slot. `state` is a hash with the epoch (e), the run id (r) and the
 * replication id (q) that it is bound to, its generation (g), the number (n) and the token (t) of
 * the last entry, the bytes appended (s), and each channel's number (c:<channel>), so that all of
 * them are lost only together. `log` is a stream whose IDs are <generation>-<n>. `ids:…:a` and
 * `ids:…:b` hold what a source gave lately (channel and id, with the number). `fences` holds the
 * highest token of each source. `t:<table>`, and `t:<table>:<node>` for what nodes own, are hashes with
 * facts by key; `t:last:order` has the keys of `t:last` in the order in which they were set, `t:last:until`
 * when they are over, and `t:last:sum` its bytes (b) and a counter for that order (c). No key has a time to
 * live, and no clock is read but for the end of last values.
 */
import { placeOf, type SharedTable, type Table } from "../fact.ts";

/** Names of the keys of one group of nodes. */
export interface EngineKeys {
  readonly state: string;
  readonly log: string;
  readonly fences: string;
  /** The start of the names of all tables. */
  readonly tables: string;
  /** Of all names, in the engine's own notation. */
  readonly pattern: string;
  table(table: SharedTable): string;
  table(table: Table, owner: string | undefined): string;
  ids(source: string): readonly [newer: string, older: string];
}

/** @param prefix names the group of nodes: the hash tag */
export function engineKeys(prefix: string): EngineKeys {
  const key = (name: string) => `{${prefix}}:${name}`;
  return {
    state: key("state"),
    log: key("log"),
    fences: key("fences"),
    tables: key("t:"),
    pattern: key("*"),
    table: (table: Table, owner?: string) => key(`t:${placeOf(table, owner)}`),
    ids: (source) => [key(`ids:${source}:a`), key(`ids:${source}:b`)],
  };
}

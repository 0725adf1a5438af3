/**
 * The rules of the shared log, each of which a history can be played without: one that nobody needs
 * would be a rule too many.
 */
export const RULES = {
  probe: "a follower compares epoch, run and length of the log after an empty read",
  empty: "an empty read below the log's length means that it was trimmed to nothing",
  chain: "each entry names its predecessor's token; who saw an entry that is gone forces an epoch",
  acked: "witnesses are also the entries that were acknowledged to this process",
  replid: "the fence compares the replication id beside the run id",
  attach: "the run id is read inside the attach script, not asked before",
  gen: "a generation is above all that any attacher has seen, and a new epoch begins empty",
  ids: "ids are remembered per source by number, not for a time",
  token: "the lease has a number; a batch with a lower one is refused",
  whole: "a batch that a new epoch met half appended begins again with its first part",
  snap: "heads and log of a warm-up are one view",
  caught: "a page ahead of a node that cannot catch up is closed, not judged",
  replay: "a reset answers a subscription whose replay is under way, too",
  heads: "a node that forgets a quiet channel keeps its number",
} as const;

export type Rule = keyof typeof RULES;
export const ALL_RULES = Object.keys(RULES) as Rule[];

export class RuleSet {
  readonly #off: ReadonlySet<Rule>;

  constructor(off: readonly Rule[] = []) {
    this.#off = new Set(off);
  }

  on(rule: Rule): boolean {
    return !this.#off.has(rule);
  }
}

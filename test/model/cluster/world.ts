/** What all actors of a history share: time in steps, chance, the database, and what was found. */
import { Random } from "../random.ts";
import type { RuleSet } from "./rules.ts";

export interface ModelMessage {
  readonly id: string;
  readonly channel: string;
  /** Who published it; the order of one session to one channel is promised. */
  readonly session: string;
  /** Its place among the session's messages. */
  readonly index: number;
}

export interface Placed extends ModelMessage {
  readonly seq: number;
}

/**
 * lost: missing without a word; twice: in one epoch; order: of one session; gap: in the numbers of
 * one epoch; deaf: a node that stays away from the log when all is repaired.
 */
export type Violation = "lost" | "twice" | "order" | "gap" | "deaf";

export interface Found {
  readonly kind: Violation;
  readonly who: string;
  readonly what: string;
}

export const CHANNELS = ["a", "a", "a", "b", "b", "q"] as const;

export class World {
  now = 0;
  readonly random: Random;
  readonly rules: RuleSet;
  /** Committed messages by id: what a page that refreshes sees. */
  readonly database = new Map<string, ModelMessage>();
  /** Committed and not yet taken for good, in order. */
  queue: ModelMessage[] = [];
  readonly found: Found[] = [];
  readonly trace: string[] = [];
  #names = 0;

  constructor(seed: number, rules: RuleSet) {
    this.random = new Random(seed);
    this.rules = rules;
  }

  /** A number that was never given before: ids, tokens, epochs. */
  fresh(): number {
    return ++this.#names;
  }

  say(text: string): void {
    this.trace.push(`${String(this.now).padStart(3)} ${text}`);
  }

  report(kind: Violation, who: string, what: string): void {
    this.say(`!! ${kind} ${who} ${what}`);
    if (!this.found.some((each) => each.kind === kind && each.who === who)) {
      this.found.push({ kind, who, what });
    }
  }
}

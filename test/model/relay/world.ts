/** What the actors of a history share: chance, order, the models of what the relay knows, what was found. */
import type { Duplex } from "node:stream";
import { Random } from "../random.ts";
import type { Fault } from "./faults.ts";
import { ModelLog } from "./model-log.ts";
import { ModelRights } from "./model-rights.ts";
import { ModelTalk } from "./model-talk.ts";
import { Network } from "./network.ts";

export const CHANNELS = ["a", "b", "room"] as const;
/** The channel in which pages are seen, and send each other events. */
export const ROOM = "room";
export const EVENTS = ["x", "y", "z"] as const;
export const USERS = ["SCOTT", "KING", "ADAMS"] as const;
export const SESSIONS = ["s1", "s2", "s3"] as const;

/**
 * gap: something is missing without a word; twice: it came before; unknown: nobody sent it so; filter: not
 * wanted; revoked: after the answer to a revocation; withheld: refused, or ended, with a right; stays: not
 * ended without one; recovery: `recovered` is not as the history allows; last: not the newest messages; missing:
 * never came though all is at rest; members: not who is there; event: of a client, to the wrong ones or not to the
 * right ones; protocol: a frame in the wrong place.
 */
export type Kind =
  | "gap"
  | "twice"
  | "unknown"
  | "filter"
  | "revoked"
  | "withheld"
  | "stays"
  | "recovery"
  | "last"
  | "missing"
  | "members"
  | "event"
  | "protocol";

export interface Found {
  readonly kind: Kind;
  readonly what: string;
}

export class World {
  readonly random: Random;
  readonly fault: Fault | undefined;
  readonly network = new Network();
  readonly log: ModelLog;
  readonly rights = new ModelRights();
  readonly talk = new ModelTalk();
  readonly found: Found[] = [];
  readonly trace: string[] = [];
  /** Opens a connection to the relay that serves; undefined while there is none. */
  door: (() => Duplex) | undefined;
  #order = 0;

  constructor(seed: number, fault: Fault | undefined) {
    this.random = new Random(seed);
    this.fault = fault;
    // The shortest shows most.
    this.log = new ModelLog(this.random.pick([4, 4, 12, 1000]));
  }

  /** Counts what is published and controlled, so that before and after can be told. */
  get order(): number {
    return this.#order;
  }

  next(): number {
    return ++this.#order;
  }

  say(text: string): void {
    this.trace.push(`${this.#order} ${text}`);
  }

  report(kind: Kind, what: string): void {
    this.say(`!! ${kind}: ${what}`);
    this.found.push({ kind, what });
  }

  /** Whether it is known how the history ends: a fault that was made is found. */
  get isOver(): boolean {
    return this.fault !== undefined && this.found.length > 0;
  }
}

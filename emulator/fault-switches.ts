/** The faults as tests and the demo switch them. */

import type { Fault, FaultRule, FaultRules } from "./faults.ts";
import type { NetConnection } from "./net-connection.ts";

/** What the switches need of the server. */
export interface FaultTarget {
  connectionOf(session: SessionRef): NetConnection;
  freezeAll(frozen: boolean): void;
  delayAll(ms: number): void;
  /** undefined: connections are taken again. */
  refuse(how: Refusal | undefined): Promise<void>;
}

/**
 * - `port-closed`: nothing listens (NJS-503).
 * - `drop`: the connection is accepted and closed (NJS-500).
 * - a number: the listener refuses with this ORA- error, e.g. 12514 (NJS-518) or 12516 (NJS-511).
 */
export type Refusal = "port-closed" | "drop" | number;

/** A session by its id or its view. */
export type SessionRef = number | { readonly id: number };

export class Faults {
  readonly #target: FaultTarget;
  readonly #rules: FaultRules;

  constructor(target: FaultTarget, rules: FaultRules) {
    this.#target = target;
    this.#rules = rules;
  }

  /** Arms a rule: see `FaultRule`. */
  inject(rule: FaultRule): Fault {
    return this.#rules.add(rule);
  }

  /** The server process of a session dies now. */
  kill(session: SessionRef): void {
    this.#target.connectionOf(session).kill();
  }

  /** ALTER SYSTEM KILL SESSION now: rolled back; the client's present or next call gets ORA-00028. */
  terminate(session: SessionRef): void {
    this.#target.connectionOf(session).terminate();
  }

  /** Freezes one session, or all of them and every connection to come. */
  freeze(session?: SessionRef): void {
    if (session !== undefined) this.#target.connectionOf(session).network.freeze();
    else this.#target.freezeAll(true);
  }

  /** Ends `freeze`: what was held back passes now. */
  thaw(session?: SessionRef): void {
    if (session !== undefined) this.#target.connectionOf(session).network.thaw();
    else this.#target.freezeAll(false);
  }

  /** Holds back the answers of one session, or of all present and future ones, by `ms`. */
  delayAnswers(ms: number, session?: SessionRef): void {
    if (session !== undefined) this.#target.connectionOf(session).network.delayMs = ms;
    else this.#target.delayAll(ms);
  }

  /** New connections fail from now on; those that are open go on. */
  refuseConnections(how: Refusal = "port-closed"): Promise<void> {
    return this.#target.refuse(how);
  }

  /** Ends `refuseConnections`. */
  acceptConnections(): Promise<void> {
    return this.#target.refuse(undefined);
  }

  /** Disarms all rules, thaws, ends delays and refusals. */
  async clear(): Promise<void> {
    this.#rules.clear();
    this.delayAnswers(0);
    this.thaw();
    await this.acceptConnections();
  }
}

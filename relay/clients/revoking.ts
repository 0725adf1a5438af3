/**
 * Keeps the table of revocations: what is said there ends the rights of connections in the same turn,
 * before anything that was accepted later. What a log has lost is said again by whoever knows it.
 */
import type { Logger } from "../../common/logger.ts";
import type { Revocation, RevocationKey } from "../access/revocations.ts";
import type { Fact } from "../log/fact.ts";
import type { Log, ResetReason } from "../log/log.ts";
import type { FactReader } from "../log/notices.ts";
import type { Clients } from "./clients.ts";

/** How often what has ended is removed, ms, and how much of that is left to chance: nodes take turns. */
const SWEEP_MS = 60_000;
/** Facts that are said at a time. */
const SAY = 1000;

/** The fact that says it. */
export function revocationFact(
  key: RevocationKey,
  { before, untilMs }: Revocation,
): Fact & { readonly rank: number } {
  return { table: "revoked", key, value: JSON.stringify({ before }), rank: before, untilMs };
}

/** What such a fact says; undefined for a removal, or one that never ends or begins. */
export function revocationOf({ value, rank, untilMs }: Fact): Revocation | undefined {
  if (value === null || rank === undefined || untilMs === undefined) return undefined;
  return { before: rank, untilMs };
}

export class Revoking implements FactReader {
  readonly #clients: Clients;
  readonly #messageLog: Log;
  readonly #log: Logger;
  /** What the log has lost and is to be told again. */
  readonly #unsaid = new Set<RevocationKey>();
  #changed = false;
  #saying = false;
  #sweepAt = 0;

  constructor({ clients, messageLog, log }: { clients: Clients; messageLog: Log; log: Logger }) {
    this.#clients = clients;
    this.#messageLog = messageLog;
    this.#log = log;
  }

  /** What is known here stays: revocations are never taken back. */
  reset(facts: readonly Fact[], reason: ResetReason): void {
    const { revocations } = this.#clients;
    if (reason === "lost") {
      const there = new Map(facts.map(({ key, rank }) => [key, rank ?? 0]));
      for (const [key, { before }] of revocations.entries()) {
        if ((there.get(key) ?? -1) < before) this.#unsaid.add(key);
      }
    }
    for (const fact of facts) this.apply(fact);
    this.applied();
    void this.sayAgain();
  }

  apply(fact: Fact): void {
    const { revocations } = this.#clients;
    const revocation = revocationOf(fact);
    if (revocation) this.#changed = revocations.add(fact.key, revocation) || this.#changed;
    else if ((revocations.get(fact.key)?.before ?? 0) <= (fact.rank ?? 0)) {
      revocations.delete(fact.key);
    }
  }

  applied(): void {
    if (!this.#changed) return;
    this.#changed = false;
    const { connections, presence, revocations } = this.#clients;
    for (const connection of [...connections]) connection.endRevoked();
    const now = Date.now();
    presence?.locals.endLingering((grant, channel) => {
      const verdict = revocations.judge(grant, now);
      return verdict === "revoked" || (verdict !== "good" && verdict.has(channel));
    });
  }

  /** Called every few seconds. */
  tick(): void {
    void this.sayAgain();
    const now = performance.now();
    if (now < this.#sweepAt) return;
    if (this.#sweepAt > 0) void this.#sweep();
    this.#sweepAt = now + SWEEP_MS * (0.5 + Math.random());
  }

  /** Tells the log what it has lost. */
  async sayAgain(): Promise<void> {
    if (this.#saying || this.#unsaid.size === 0) return;
    this.#saying = true;
    try {
      while (this.#unsaid.size > 0) {
        const keys = [...this.#unsaid].slice(0, SAY);
        const facts = keys.flatMap((key) => {
          const revocation = this.#clients.revocations.get(key);
          return revocation ? [revocationFact(key, revocation)] : [];
        });
        const answers = await this.#messageLog.note(facts);
        if (answers.some(({ status }) => status !== "accepted")) return;
        for (const key of keys) this.#unsaid.delete(key);
        this.#log.info({ revocations: facts.length }, "the log was told again what is revoked");
      }
    } finally {
      this.#saying = false;
    }
  }

  /** Removes what no token can be left for. */
  async #sweep(): Promise<void> {
    const now = Date.now();
    const ended: Fact[] = [];
    for (const [key, { before, untilMs }] of this.#clients.revocations.entries()) {
      if (untilMs > now) continue;
      ended.push({ table: "revoked", key, value: null, rank: before });
      if (ended.length === SAY) break;
    }
    if (ended.length > 0) await this.#messageLog.note(ended);
  }
}

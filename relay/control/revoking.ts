/**
 * Keeps the table of revocations: what is said there ends the rights of connections in the same turn,
 * before anything that was accepted later. What a log has lost is said again by whoever knows it.
 */
import type { Logger } from "../../common/logger.ts";
import { EVERY_TOKEN, type RevocationKey } from "../access/revocations.ts";
import type { Clients } from "../clients/clients.ts";
import type { Fact } from "../log/fact.ts";
import type { Log, ResetReason } from "../log/log.ts";
import type { FactReader } from "../log/notices.ts";
import { revocationFact, revocationOf, SPARE_MS } from "./revocation-fact.ts";
import type { RevocationFile } from "./revocation-file.ts";

/** How often what has ended is removed, ms, and how much of that is left to chance: nodes take turns. */
const SWEEP_MS = 60_000;
/** At more revocations what has ended goes at once. */
const CROWDED = 25_000;
/** Facts that are said at a time. */
const SAY = 1000;

export interface RevokingOptions {
  readonly clients: Clients;
  readonly messageLog: Log;
  readonly log: Logger;
  /** Keeps what is heard from other nodes: theirs may be gone when the log has lost it. */
  readonly heardFile: RevocationFile | undefined;
}

export class Revoking implements FactReader {
  readonly #clients: Clients;
  readonly #messageLog: Log;
  readonly #log: Logger;
  readonly #heardFile: RevocationFile | undefined;
  #heard: Fact[] = [];
  /** What the log has lost and is to be told again. */
  readonly #unsaid = new Set<RevocationKey>();
  /** What the log still has though a revocation of every token stands for it, with its rank. */
  readonly #covered = new Map<RevocationKey, number>();
  #changed = false;
  #saying = false;
  #sweepAt = 0;

  constructor({ clients, messageLog, log, heardFile }: RevokingOptions) {
    this.#clients = clients;
    this.#messageLog = messageLog;
    this.#log = log;
    this.#heardFile = heardFile;
  }

  /** What is known here stays: revocations are never taken back. */
  reset(facts: readonly Fact[], reason: ResetReason): void {
    const { revocations } = this.#clients;
    // At the start there is what this node has kept.
    if (reason !== "behind") {
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
    if (revocation) {
      if (!revocations.add(fact.key, revocation)) {
        if (!revocations.get(fact.key)) this.#covered.set(fact.key, revocation.before);
        return;
      }
      this.#changed = true;
      if (this.#heardFile) this.#heard.push(fact);
      if (fact.key === EVERY_TOKEN) this.#standForOthers();
      return;
    }
    this.#covered.delete(fact.key);
    const known = revocations.get(fact.key);
    if (!known || known.before > (fact.rank ?? 0)) return;
    // The clock of the node that swept it is ahead of this one's.
    if (known.untilMs > Date.now()) this.#unsaid.add(fact.key);
    else revocations.delete(fact.key);
  }

  #standForOthers(): void {
    for (const [key, { before }] of this.#clients.revocations.dropCovered()) {
      this.#covered.set(key, before);
    }
  }

  applied(): void {
    if (!this.#changed) return;
    this.#changed = false;
    const heard = this.#heard;
    this.#heard = [];
    const { connections, presence, revocations } = this.#clients;
    for (const connection of [...connections]) connection.endRevoked();
    const now = Date.now();
    presence?.locals.endGrace((grant, channel) => {
      const verdict = revocations.judge(grant, now);
      return verdict === "revoked" || (verdict !== "good" && verdict.has(channel));
    });
    this.#heardFile?.append(heard);
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

  /** Finds out whether somebody has removed revocations from the log's table, and says all again. */
  async #findLost(): Promise<void> {
    const { revocations } = this.#clients;
    const there = await this.#messageLog.sizeOf?.("revoked");
    if (there === undefined || there >= revocations.size) return;
    this.#log.warn(
      { there, known: revocations.size },
      "somebody has removed revocations from the log",
    );
    for (const [key] of revocations.entries()) this.#unsaid.add(key);
    await this.sayAgain();
  }

  /** Removes what no token can be left for, and what another stands for. */
  async #sweep(): Promise<void> {
    await this.#findLost();
    const { revocations } = this.#clients;
    const spareMs = revocations.size > CROWDED ? 0 : SPARE_MS;
    const now = Date.now();
    const ended: Fact[] = [];
    for (const [key, { before, untilMs }] of revocations.entries()) {
      if (untilMs + spareMs > now) continue;
      ended.push({ table: "revoked", key, value: null, rank: before });
    }
    for (const [key, before] of this.#covered) {
      ended.push({ table: "revoked", key, value: null, rank: before });
    }
    for (let at = 0; at < ended.length; at += SAY) {
      await this.#messageLog.note(ended.slice(at, at + SAY));
    }
  }
}

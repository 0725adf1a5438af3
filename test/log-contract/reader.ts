/** A reader that checks the port's promises while it keeps what it was given. */
import { channelPrefix, encodeMessage } from "../../relay/channels/encode.ts";
import { Retained } from "../../relay/channels/retained.ts";
import { type Fact, FactTables, isFact, type Notice } from "../../relay/log/fact.ts";
import type { LogReader, Numbered, ResetReason, Snapshot } from "../../relay/log/log.ts";
import { lastFact, type RetainedBounds } from "../../relay/log/retained-value.ts";

export class RecordingReader implements LogReader {
  /** Every message applied since the last reset, those of the snapshot included. */
  messages: Numbered[] = [];
  /** Every message ever applied as new (not as history). */
  live: Numbered[] = [];
  resets: { reason: ResetReason; epoch: string }[] = [];
  heads = new Map<string, number>();
  currents: boolean[] = [];
  detail: string | undefined;
  /** Every notice and the id of every message, in the order in which they came. */
  order: (Notice | string)[] = [];
  /** Last values as a relay keeps them. */
  readonly retained: Retained;
  #tables = new FactTables();
  /** What broke a promise of the port. */
  readonly violations: string[] = [];

  /** @param bounds of last values, where the log leaves these to its reader */
  constructor(bounds?: RetainedBounds) {
    this.retained = new Retained({ bounds, epoch: () => this.resets.at(-1)?.epoch ?? "" });
  }

  /** Channel, event and id of each last value that is still to be given, in the order of their names. */
  get lasts(): string[] {
    this.retained.expire(Date.now());
    return [...this.retained.all()]
      .map(({ channel, entry: { eventName, frame } }) => {
        const [, id] = /"id":"([^"]*)","seq"/.exec(frame.toString()) ?? [];
        return `${channel} ${eventName} ${id}`;
      })
      .sort();
  }

  get isCurrent(): boolean {
    return this.currents.at(-1) ?? false;
  }

  /** All facts, in an order that does not depend on how they came. */
  get facts(): Fact[] {
    const nameOf = ({ table, owner, key }: Fact) => `${table} ${owner} ${key}`;
    return [...this.#tables.all()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  get signals(): string[] {
    return this.order.flatMap((each) =>
      typeof each === "string" || isFact(each) ? [] : [`${each.signal} ${each.body}`],
    );
  }

  reset({ epoch, reason, heads, messages, facts }: Snapshot): void {
    this.resets.push({ epoch, reason });
    this.#tables = new FactTables();
    this.retained.reset([]);
    for (const fact of facts) this.#apply(fact);
    this.heads = new Map(heads);
    this.messages = [...messages];
    const last = new Map<string, number>();
    for (const { channel, seq } of this.messages) {
      const before = last.get(channel);
      if (before !== undefined && seq !== before + 1) {
        this.violations.push(`snapshot: ${channel}: ${before} -> ${seq}`);
      }
      last.set(channel, seq);
    }
    for (const [channel, seq] of last) {
      if (this.heads.get(channel) !== seq) {
        this.violations.push(
          `snapshot: ${channel} ends at ${seq}, head ${this.heads.get(channel)}`,
        );
      }
    }
  }

  headOf(channel: string): number {
    return this.heads.get(channel) ?? 0;
  }

  apply(batch: readonly Numbered[]): void {
    if (this.resets.length === 0) this.violations.push("applied before the first reset");
    if (batch.length === 0) this.violations.push("applied an empty batch");
    for (const message of batch) {
      const head = this.heads.get(message.channel) ?? 0;
      if (message.seq !== head + 1) {
        this.violations.push(`${message.channel}: ${head} -> ${message.seq}`);
      }
      this.heads.set(message.channel, message.seq);
      this.messages.push(message);
      this.live.push(message);
      this.order.push(message.id);
      // What a message makes of the table, as whoever keeps one has to do it.
      const fact = lastFact(this.resets.at(-1)?.epoch ?? "", message);
      if (fact.value !== null || this.#tables.get("last", fact.key)) this.#tables.apply(fact);
      const entry = encodeMessage(message, channelPrefix(message.channel), message.seq, 0);
      this.retained.heard(message, entry);
    }
  }

  notice(batch: readonly Notice[]): void {
    if (this.resets.length === 0) this.violations.push("noticed before the first reset");
    if (batch.length === 0) this.violations.push("noticed an empty batch");
    for (const notice of batch) {
      this.order.push(notice);
      if (isFact(notice)) this.#apply(notice);
    }
  }

  #apply(fact: Fact): void {
    if (this.#tables.apply(fact) === "refused") {
      this.violations.push(`${fact.table} ${fact.key} of ${fact.owner}, which is no node`);
    }
    if (fact.table === "last") this.retained.apply(fact);
  }

  current(yes: boolean, detail?: string): void {
    if (this.currents.at(-1) === yes) this.violations.push(`current(${yes}) twice`);
    this.currents.push(yes);
    this.detail = detail;
  }
}

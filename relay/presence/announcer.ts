/**
 * Says in the log who is on this node, under a name that is new in each life of the node. What it says
 * is absolute, so saying it twice does no harm. When the log refuses its name, because other nodes took
 * this one for dead, it takes a new name and says all of it again: nothing of the old one is left. When
 * the log has something else under its name than it said last, because what it said on a connection that
 * it has given up came late, it says it again.
 */
import { randomUUID } from "node:crypto";
import type { Fact } from "../log/fact.ts";
import type { Log, Noted } from "../log/log.ts";
import type { Locals } from "./locals.ts";
import { encodeHere } from "./member.ts";

/** What is said at a time: many users must not keep a node busy for long. */
const MOST_FACTS = 4000;

/** It is not known whether the log has it. */
const UNKNOWN = Symbol("unknown");

export interface AnnouncerOptions {
  readonly messageLog: Pick<Log, "note">;
  readonly locals: Pick<Locals, "here" | "keys">;
  /** There is something to say, again: call `announce` soon. */
  readonly onUnsaid: () => void;
  /** The log does not take it now. */
  readonly onFailure: (message: string) => void;
}

export class Announcer {
  readonly #options: AnnouncerOptions;
  #id: string | undefined;
  /** What was said under `#id`; nothing for a key means that nobody is there. */
  readonly #said = new Map<string, string | typeof UNKNOWN>();
  readonly #unsaid = new Set<string>();
  /** What the log has that is not what was said last, or is only read before the answer came. */
  readonly #strange = new Map<string, string | null>();
  /** Only the number of connections is another; that can wait. */
  readonly #counts = new Set<string>();
  #busy = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** The name under which this node speaks; undefined when it has said nothing. */
  get id(): string | undefined {
    return this.#id;
  }

  get hasUnsaid(): boolean {
    return this.#unsaid.size > 0 && !this.#busy;
  }

  get hasCounts(): boolean {
    return this.#counts.size > 0;
  }

  /** What is here under the key may be another than what was said. */
  changed(key: string): void {
    const said = this.#said.get(key);
    const here = this.#options.locals.here(key);
    // While something is under way it is not known what will have been said.
    if (!this.#busy && typeof said === "string" && here && said !== encodeHere(here)) {
      const other = JSON.parse(said) as { readonly n: number };
      if (said === encodeHere({ ...here, n: other.n })) {
        this.#counts.add(key);
        return;
      }
    }
    this.#unsaid.add(key);
    if (!this.#busy) this.#options.onUnsaid();
  }

  /** The log has this under the name of this node. */
  heard(key: string, value: string | null): void {
    if ((this.#said.get(key) ?? null) === value) this.#strange.delete(key);
    else this.#strange.set(key, value);
  }

  /** The log has only this under the name of this node. */
  heardAll(facts: Iterable<Fact>): void {
    const missing = new Set(this.#said.keys());
    this.#strange.clear();
    for (const { key, value } of facts) {
      missing.delete(key);
      this.heard(key, value);
    }
    for (const key of missing) this.#strange.set(key, null);
  }

  /** Says again what the log does not have as it was said; called now and then. */
  correct(): void {
    if (this.#busy) return;
    for (const [key, value] of this.#strange) {
      if ((this.#said.get(key) ?? null) === value) continue;
      this.#said.set(key, UNKNOWN);
      this.#unsaid.add(key);
    }
    this.#strange.clear();
    if (this.hasUnsaid) this.#options.onUnsaid();
  }

  /** Numbers of connections are said too. */
  sayCounts(): void {
    for (const key of this.#counts) this.#unsaid.add(key);
    this.#counts.clear();
    if (this.hasUnsaid) this.#options.onUnsaid();
  }

  /** This node has no name any more, and takes a new one. */
  renew(): void {
    this.#id = undefined;
    this.#said.clear();
    this.#strange.clear();
    this.#counts.clear();
    this.#unsaid.clear();
    for (const key of this.#options.locals.keys) this.#unsaid.add(key);
    if (this.hasUnsaid) this.#options.onUnsaid();
  }

  /** Says what is unsaid; in the same turn with a log in this process. */
  announce(): void {
    if (this.#busy || this.#unsaid.size === 0) return;
    const keys: string[] = [];
    const facts: Fact[] = [];
    const isNew = this.#id === undefined;
    const id = this.#id ?? randomUUID();
    for (const key of this.#unsaid) {
      if (facts.length === MOST_FACTS) break;
      this.#unsaid.delete(key);
      const here = this.#options.locals.here(key);
      const value = here ? encodeHere(here) : null;
      if ((this.#said.get(key) ?? null) === value) continue;
      keys.push(key);
      facts.push({ table: "here", owner: id, key, value });
    }
    for (const key of keys) this.#counts.delete(key);
    if (facts.length === 0) return;
    this.#id = id;
    const batch: Fact[] = isNew ? [{ table: "node", key: id, value: "1" }, ...facts] : facts;
    const told = (answers: readonly Noted[]) =>
      this.#told(id, keys, facts, isNew ? answers.slice(1) : answers);
    this.#busy = true;
    const noted = this.#options.messageLog.note(batch);
    if (noted instanceof Promise) void noted.then(told);
    else told(noted);
  }

  #told(
    id: string,
    keys: readonly string[],
    facts: readonly Fact[],
    answers: readonly Noted[],
  ): void {
    this.#busy = false;
    // It has another name by now, under which all is unsaid.
    if (id !== this.#id) {
      if (this.hasUnsaid) this.#options.onUnsaid();
      return;
    }
    let failure: string | undefined;
    for (const [index, key] of keys.entries()) {
      const answer = answers[index] as Noted;
      const value = facts[index]?.value ?? null;
      if (answer.status === "refused") {
        this.renew();
        return;
      }
      if (answer.status === "accepted") {
        if (value === null) this.#said.delete(key);
        else this.#said.set(key, value);
        if (this.#strange.get(key) === value) this.#strange.delete(key);
      } else {
        failure = answer.message;
        this.#said.set(key, UNKNOWN);
        this.#unsaid.add(key);
      }
    }
    if (failure !== undefined) this.#options.onFailure(failure);
    else if (this.hasUnsaid) this.#options.onUnsaid();
  }

  /** Says that this node lives. */
  async beat(): Promise<void> {
    const id = this.#id;
    if (id === undefined) return;
    const fact: Fact = { table: "node", owner: id, key: id, value: "1" };
    const [answer] = await this.#options.messageLog.note([fact]);
    if (answer?.status === "refused" && id === this.#id && !this.#busy) this.renew();
  }
}

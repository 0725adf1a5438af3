/**
 * State beside the messages of the log: facts, kept in tables, and signals, which nobody keeps.
 *
 * A fact is absolute: what is there under its key is what the last one said, so repeating it does no
 * harm. It has no number and no history. Tables are as old as the log and outlive what is trimmed from
 * it; a new reader is given all of them with its first messages.
 */

/** `revoked`: of tokens; `last`: values that outlive the history; `node`: processes that own facts. */
export const SHARED_TABLES = ["node", "revoked", "last"] as const;
/** Kept for each owner apart, and gone with it. `here`: who is present, by node. */
export const OWNED_TABLES = ["here"] as const;

export type SharedTable = (typeof SHARED_TABLES)[number];
export type OwnedTable = (typeof OWNED_TABLES)[number];
export type Table = SharedTable | OwnedTable;

/** A statement under a key, in a table. The last one counts; told twice it does no harm. */
export interface Fact {
  readonly table: Table;
  /**
   * The node that speaks, 1-64 of the characters A-Z a-z 0-9 _ -. A fact with an owner is refused unless
   * the table `node` has the owner's key: nothing can come from one that was declared gone. Required
   * in an owned table, where it is part of the fact's place; in a shared one it is only the condition.
   */
  readonly owner?: string;
  /** Any text but the empty one. */
  readonly key: string;
  /** Any text. `null` removes; removing a `node` also drops all that it owns. */
  readonly value: string | null;
  /**
   * A whole number; default 0. What is there with a higher rank stays as it is, so facts of which the
   * highest counts may come in any order.
   */
  readonly rank?: number;
  /** Nobody needs it from then on, ms since 1970; absent: until it is removed. The log does not look. */
  readonly untilMs?: number;
}

/** Something to do now, on every node; a reader that begins anew is not told of it. */
export interface Signal {
  /** What to do: lower-case letters. */
  readonly signal: string;
  /** Any text. */
  readonly body: string;
}

export type Notice = Fact | Signal;

/** The other kind of notice is a signal. */
export function isFact(notice: Notice): notice is Fact {
  return "table" in notice;
}

/** `older`: what is there has a higher rank; `refused`: its owner is not in the table `node`. */
export type FactOutcome = "applied" | "older" | "refused";

function isOwned(table: Table): table is OwnedTable {
  return (OWNED_TABLES as readonly Table[]).includes(table);
}

/** Where a fact lies. Ids of owners hold no colon. */
export function placeOf(table: Table, owner: string | undefined): string {
  return isOwned(table) ? `${table}:${owner}` : table;
}

/** Tables in this process. */
export class FactTables {
  readonly #tables = new Map<string, Map<string, Fact>>();

  /** Puts the fact under its key, or removes what is there; says what became of it. */
  apply(fact: Fact): FactOutcome {
    const { table, owner, key, value, rank = 0 } = fact;
    if (owner !== undefined && !this.get("node", owner)) return "refused";
    const there = this.get(table, key, owner);
    if (there && (there.rank ?? 0) > rank) return "older";
    const place = placeOf(table, owner);
    if (value !== null) {
      const known = this.#tables.get(place);
      if (known) known.set(key, fact);
      else this.#tables.set(place, new Map([[key, fact]]));
      return "applied";
    }
    this.#tables.get(place)?.delete(key);
    if (table === "node") this.#dropOwned(key);
    return "applied";
  }

  #dropOwned(owner: string): void {
    for (const table of OWNED_TABLES) this.#tables.delete(placeOf(table, owner));
  }

  /** What is under the key. @param owner of an owned table */
  get(table: Table, key: string, owner?: string): Fact | undefined {
    return this.#tables.get(placeOf(table, owner))?.get(key);
  }

  /** Facts of a shared table, or of one owner. */
  *of(table: Table, owner?: string): Generator<Fact> {
    yield* this.#tables.get(placeOf(table, owner))?.values() ?? [];
  }

  /** All facts: nodes before what they own, so that they can be applied one after the other. */
  *all(): Generator<Fact> {
    for (const table of SHARED_TABLES) yield* this.of(table);
    for (const [place, facts] of this.#tables) {
      if (!(SHARED_TABLES as readonly string[]).includes(place)) yield* facts.values();
    }
  }

  /** No node of before speaks any more. */
  dropNodes(): void {
    for (const { key } of [...this.of("node")]) this.#dropOwned(key);
    this.#tables.delete("node");
  }
}

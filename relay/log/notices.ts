/** Hands the log's facts and signals to whoever of this process keeps their table or acts on them. */
import { type Fact, isFact, type Notice, type Table } from "./fact.ts";
import type { ResetReason, Snapshot } from "./log.ts";

/** Who keeps some tables of the log. Called in the log's order, between the messages. */
export interface FactReader {
  /** What was known before is void; `facts` are all of its tables, nodes before what they own. */
  reset(facts: readonly Fact[], reason: ResetReason): void;
  /** The next fact. It may repeat what is known, or have a lower rank. */
  apply(fact: Fact): void;
  /** Facts were applied, and no further ones came with them. */
  applied?(): void;
}

/**
 * Hands facts to who reads their table, and signals to who acts on them. What nobody knows is
 * passed over: it may come from a newer node.
 */
export class Notices {
  readonly #readers: { readonly tables: readonly Table[]; readonly reader: FactReader }[] = [];
  readonly #handlers = new Map<string, (body: string) => void>();

  /** From now on `reader` gets the facts of the tables. Called before the log is followed. */
  read(tables: readonly Table[], reader: FactReader): void {
    this.#readers.push({ tables, reader });
  }

  /** From now on `handle` is called for each such signal. Called before the log is followed. */
  on(signal: string, handle: (body: string) => void): void {
    this.#handlers.set(signal, handle);
  }

  /** As `LogReader.reset`. */
  reset({ facts, reason }: Pick<Snapshot, "facts" | "reason">): void {
    const all = [...facts];
    for (const { tables, reader } of this.#readers) {
      reader.reset(
        all.filter(({ table }) => tables.includes(table)),
        reason,
      );
    }
  }

  /** As `LogReader.notice`. Who does not know a table or a signal has nothing to do with it. */
  notice(batch: readonly Notice[]): void {
    const told = new Set<FactReader>();
    for (const notice of batch) {
      if (isFact(notice)) {
        for (const { tables, reader } of this.#readers) {
          if (!tables.includes(notice.table)) continue;
          reader.apply(notice);
          told.add(reader);
        }
      } else this.#handlers.get(notice.signal)?.(notice.body);
    }
    for (const reader of told) reader.applied?.();
  }
}

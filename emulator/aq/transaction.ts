/** The undo log of a session. */
import { OraError } from "../errors.ts";

/**
 * Why a change is undone. `savepoint`: rollback to a savepoint or of a failed statement;
 * `rollback`: the whole transaction; `lost`: its session ended without commit or rollback.
 */
export type UndoCause = "savepoint" | "rollback" | "lost";

/** One step of a transaction. Exactly one of the two is called, once. */
export interface Change {
  /** Takes the step back. Steps are undone in reverse order. */
  undo(cause: UndoCause): void;
  /** The transaction is committed. Steps are applied in the order they were made. */
  commit?(): void;
}

/** A position in a session's work. */
export interface Mark {
  /** Which transaction of the session. */
  readonly transaction: number;
  readonly changes: number;
}

/** The undo log of one session: whatever is transactional adds its steps here. */
export class Transaction {
  #changes: Change[] = [];
  #savepoints: { name: string; mark: Mark }[] = [];
  #number = 0;

  /** Whether there is anything to commit or to roll back. */
  get active(): boolean {
    return this.#changes.length > 0;
  }

  add(change: Change): void {
    this.#changes.push(change);
  }

  /** A position for `undoTo`. */
  mark(): Mark {
    return { transaction: this.#number, changes: this.#changes.length };
  }

  /** Takes back what came after the mark, except for what has been committed since. */
  undoTo(mark: Mark): void {
    const changes = mark.transaction === this.#number ? mark.changes : 0;
    this.#undo(changes, "savepoint");
    this.#savepoints = this.#savepoints.filter((savepoint) => savepoint.mark.changes <= changes);
  }

  #undo(from: number, cause: UndoCause): void {
    for (const change of this.#changes.splice(from).reverse()) change.undo(cause);
  }

  /** `SAVEPOINT name`. A second one of the same name moves it. */
  savepoint(name: string): void {
    this.#savepoints = this.#savepoints.filter((savepoint) => savepoint.name !== name);
    this.#savepoints.push({ name, mark: this.mark() });
  }

  /** `ROLLBACK TO name`: the savepoint itself stays, later ones are gone. ORA-01086. */
  rollbackTo(name: string): void {
    const index = this.#savepoints.findIndex((savepoint) => savepoint.name === name);
    if (index < 0) {
      throw new OraError(
        1086,
        `savepoint '${name}' never established in this session or is invalid`,
      );
    }
    this.undoTo(this.#savepoints[index]!.mark);
    this.#savepoints.length = index + 1;
  }

  /** Applies all steps in the order they were made. The next step begins a new transaction. */
  commit(): void {
    const changes = this.#changes;
    this.#changes = [];
    this.#savepoints = [];
    this.#number += 1;
    for (const change of changes) change.commit?.();
  }

  /** Takes all steps back, the last one first. The next step begins a new transaction. */
  rollback(cause: UndoCause = "rollback"): void {
    this.#undo(0, cause);
    this.#savepoints = [];
    this.#number += 1;
  }
}

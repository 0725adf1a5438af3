/** Statements and who answers them. There is no SQL engine: a statement without a handler fails. */
import { OraError } from "../errors.ts";
import type { Session } from "../session.ts";
import type { SqlValue } from "./values.ts";

/** One execution of a statement. */
export interface StatementCall {
  readonly sql: string;
  readonly session: Session;
  /**
   * Values the client sent, by bind name in upper case (`:1` is "1"). OUT binds are null; PL/SQL
   * array binds are arrays. NUMBER is a number when a double holds it exactly, else its text.
   */
  readonly binds: Readonly<Record<string, SqlValue | SqlValue[]>>;
  /** Aborted when the client cancels the call or the session ends. Pass it to whatever waits. */
  readonly signal: AbortSignal;
}

export interface StatementResult {
  /** Values of OUT, IN OUT and RETURNING binds by name (any case); arrays for array binds. */
  out?: Record<string, SqlValue | undefined | (SqlValue | undefined)[]>;
  /** The rows of a query. Objects give the columns their names (upper case). */
  rows?: readonly (readonly SqlValue[] | Readonly<Record<string, SqlValue>>)[];
  /** Needed for arrays as rows, and for a query without rows. */
  columns?: readonly string[];
  /** Of DML. */
  rowsAffected?: number;
}

/**
 * Answers a statement. An `OraError` reaches the client as it is. What the handler did through
 * `call.session` is undone when it throws.
 */
export type StatementHandler = (
  call: StatementCall,
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler without a result returns nothing
) => StatementResult | void | Promise<StatementResult | void>;

/** A string matches a statement that contains it, whatever case and white space. */
export type StatementMatcher = string | RegExp | ((sql: string) => boolean);

export class Statements {
  readonly #handlers: { matches: (sql: string) => boolean; handler: StatementHandler }[] = [];

  /** Later handlers come first. Returns a function that removes this one. */
  add(matcher: StatementMatcher, handler: StatementHandler): () => void {
    const entry = { matches: toPredicate(matcher), handler };
    this.#handlers.unshift(entry);
    return () => {
      const index = this.#handlers.indexOf(entry);
      if (index >= 0) this.#handlers.splice(index, 1);
    };
  }

  /** @throws OraError 900 */
  find(sql: string): StatementHandler {
    const handler = this.#handlers.find((entry) => entry.matches(sql))?.handler ?? builtIn(sql);
    if (!handler) {
      throw new OraError(
        900,
        `invalid SQL statement (the emulator has no handler for: ${sql.slice(0, 200)})`,
      );
    }
    return handler;
  }
}

function toPredicate(matcher: StatementMatcher): (sql: string) => boolean {
  if (typeof matcher === "function") return matcher;
  if (matcher instanceof RegExp)
    return (sql) => new RegExp(matcher.source, matcher.flags.replace(/[gy]/g, "")).test(sql);
  const wanted = normalize(matcher);
  return (sql) => normalize(sql).includes(wanted);
}

function normalize(sql: string): string {
  return sql.replace(/\s+/g, " ").trim().toLowerCase();
}

const NAME = '("[^"]+"|[\\p{L}][\\p{L}\\d_$#]*)';
const BUILT_IN: [RegExp, (session: Session, name: string) => StatementResult | undefined][] = [
  [/^commit(\s+work)?$/iu, (session) => void session.commit()],
  [/^rollback(\s+work)?$/iu, (session) => void session.rollback()],
  [new RegExp(`^savepoint\\s+${NAME}$`, "iu"), (session, name) => void session.savepoint(name)],
  [
    new RegExp(`^rollback(?:\\s+work)?\\s+to(?:\\s+savepoint)?\\s+${NAME}$`, "iu"),
    (session, name) => void session.rollbackTo(name),
  ],
  [/^alter\s+session\s+set\s/iu, () => undefined],
  [/^begin\s+null\s*;\s*end\s*;?$/iu, () => undefined],
  [/^select\s+1(\s+from\s+dual)?$/iu, () => ({ columns: ["1"], rows: [[1]] })],
];

/** Transaction control, and what connections are tested with. */
function builtIn(sql: string): StatementHandler | undefined {
  const text = sql.trim();
  for (const [pattern, run] of BUILT_IN) {
    const match = pattern.exec(text);
    if (match) return ({ session }) => run(session, (match[1] ?? "").replaceAll('"', ""));
  }
  return undefined;
}

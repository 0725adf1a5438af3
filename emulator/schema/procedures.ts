/**
 * PL/SQL procedures that a handler answers. A call is found in a statement's text, as
 * `owner.package.procedure(:a, :b)`; arguments are taken by position, as PL/SQL takes them, and only calls
 * whose arguments are all binds are understood.
 */
import { OraError } from "../errors.ts";
import type { Emulator } from "../server.ts";
import type { StatementCall, StatementResult } from "../sql/statements.ts";
import type { SqlValue } from "../sql/values.ts";

/** In PL/SQL's order; what a call leaves out is undefined, an OUT argument null. */
export type Args = readonly (SqlValue | SqlValue[])[];
/** Of OUT arguments, by their positions from 0; -1 is a function's result. */
export type Outs = Record<number, SqlValue | SqlValue[]>;
export type Procedure = (args: Args, call: StatementCall) => Outs | Promise<Outs>;

export interface ProcedureOptions {
  /** Upper case. A call that names another owner fails with ORA-06550. */
  readonly owner: string;
  /** True: a call fails with ORA-06550, as of what is not installed or not granted. */
  readonly isAbsent: () => boolean;
  /** What the next call fails with, once; undefined: nothing. */
  readonly takeFailure: () => OraError | undefined;
}

/** @param procedure `package.procedure` */
export function addProcedure(
  emulator: Emulator,
  procedure: string,
  run: Procedure,
  { owner, isAbsent, takeFailure }: ProcedureOptions,
): void {
  const pattern = new RegExp(
    `(?:(\\w+)\\.)?\\b${procedure.replace(".", "\\.")}\\s*\\(([^()]*)\\)`,
    "i",
  );
  emulator.onStatement(pattern, async (call): Promise<StatementResult> => {
    const [, called, argumentList] = pattern.exec(call.sql)!;
    if (isAbsent() || (called ?? owner).toUpperCase() !== owner) {
      const full = `${called}.${procedure}`.toUpperCase();
      throw new OraError(6550, `PLS-00201: identifier '${full}' must be declared`);
    }
    const failure = takeFailure();
    if (failure) {
      const error = /:(\w+)\s*:=\s*substr\(sqlerrm/i.exec(call.sql)?.[1]?.toUpperCase();
      if (error === undefined) throw failure;
      return { out: { [error]: failure.message } };
    }
    const names = bindNames(argumentList!);
    const returning = /:\s*(\w+)\s*:=\s*[\w.]+\s*\(/.exec(call.sql)?.[1]?.toUpperCase();
    const args = names.map((bind) => call.binds[bind] ?? null);
    const outs = await run(args, call);
    const out: Record<string, SqlValue | SqlValue[]> = {};
    for (const [position, value] of Object.entries(outs)) {
      const bind = Number(position) < 0 ? returning : names[Number(position)];
      if (bind !== undefined) out[bind] = value;
    }
    return { out };
  });
}

function bindNames(argumentList: string): string[] {
  return argumentList.split(",").map((part) => {
    const name = /:\s*(\w+)\s*$/.exec(part.trim())?.[1];
    return name?.toUpperCase() ?? "";
  });
}

/** Queries of `rtm doctor` on views that the worker's user may or may not see. */
import type { BindParameters } from "oracledb";
import { oraCode } from "../../worker/oracle-errors.ts";
import type { Session } from "../../worker/session.ts";

/** ORA-00942 and its successor for a missing table or view, and a missing privilege. */
const NO_TABLE = new Set(["ORA-00942", "ORA-01031", "ORA-41900"]);

/** Undefined when the user may not see the view. @throws the driver's other errors */
export async function rowsOf<T>(
  session: Session,
  what: string,
  sql: string,
  binds: BindParameters = {},
) {
  try {
    return (await session.execute<T>(what, sql, binds)).rows ?? [];
  } catch (error) {
    if (NO_TABLE.has(oraCode(error) ?? "")) return undefined;
    throw error;
  }
}

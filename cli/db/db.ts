/** `rtm db install|uninstall|status`: runs the scripts of `sql/` through the driver. */
import { join } from "node:path";
import oracledb, { type Connection, type ConnectionAttributes } from "oracledb";
import { messageOf } from "../../common/errors.ts";
import { printable } from "../../common/printable.ts";
import { CommandError } from "../exit.ts";
import { expandScript, SQL_FOLDER, type Statement, splitScript } from "./script.ts";
import { readStatus, statusLines } from "./status.ts";

export type DatabaseVerb = "install" | "uninstall" | "status";

type Print = (line: string) => void;

const toStandardOutput: Print = (line) => void process.stdout.write(`${printable(line)}\n`);

/** How the status is written. */
export type StatusFormat = "text" | "json";

/**
 * Runs one verb in the schema of the logon, which owns the database side or will own it, and prints
 * what the scripts print.
 *
 * @throws {CommandError} logon failed, or a statement failed (it names the statement); what ran
 *   before stays, and the same command can be run again
 */
export async function runDatabaseVerb(
  verb: DatabaseVerb,
  logon: ConnectionAttributes,
  { print = toStandardOutput, format = "text" }: { print?: Print; format?: StatusFormat } = {},
): Promise<void> {
  const connection = await logOn(logon);
  try {
    connection.module = "rtm db";
    connection.action = verb;
    if (verb === "status") {
      const status = await readStatus(connection);
      if (format === "json") print(JSON.stringify(status, undefined, 2));
      else statusLines(status).forEach(print);
    } else await runScript(connection, join(SQL_FOLDER, `${verb}.sql`), print);
  } finally {
    await connection.close();
  }
}

/** @throws {CommandError} with the address and the user, never the password */
export async function logOn(logon: ConnectionAttributes): Promise<Connection> {
  try {
    return await oracledb.getConnection(logon);
  } catch (error) {
    throw new CommandError(
      `cannot log on to ${logon.connectString} as ${logon.user || "the certificate's user"}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function runScript(connection: Connection, file: string, print: Print): Promise<void> {
  await connection.execute("begin dbms_output.enable(null); end;");
  for (const statement of splitScript(expandScript(file))) {
    try {
      await connection.execute(statement.text);
    } catch (error) {
      throw new CommandError(`${statement.title}: ${messageOf(error)}`, { cause: error });
    } finally {
      await printOutput(connection, print);
    }
    if (isUnit(statement)) print(statement.title);
  }
}

function isUnit({ title }: Statement): boolean {
  return /^create or replace (package|view)/i.test(title);
}

/** What DBMS_OUTPUT holds, line by line. */
export async function printOutput(connection: Connection, print: Print): Promise<void> {
  for (;;) {
    const { outBinds } = await connection.execute<{ lines: string[]; count: number }>(
      "begin dbms_output.get_lines(lines => :lines, numlines => :count); end;",
      {
        lines: {
          dir: oracledb.BIND_OUT,
          type: oracledb.STRING,
          maxSize: 32_767,
          maxArraySize: 100,
        },
        count: { dir: oracledb.BIND_INOUT, type: oracledb.NUMBER, val: 100 },
      },
    );
    if (outBinds === undefined) return;
    for (const line of outBinds.lines.slice(0, outBinds.count)) print(line ?? "");
    if (outBinds.count < 100) return;
  }
}

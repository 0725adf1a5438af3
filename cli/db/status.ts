/** What `rtm db status` shows: the row of RTM_STATUS and the report of INSTALL_CHECK. */
import oracledb, { type Connection } from "oracledb";
import { messageOf } from "../../common/errors.ts";
import { CommandError } from "../exit.ts";
import { VERSION } from "../version.ts";

export interface DatabaseStatus {
  /** The columns of RTM_STATUS, in lower case; null where there is nothing to say. */
  readonly status: Readonly<Record<string, string | number | null>>;
  /** The lines of INSTALL_CHECK: `ok`, `info`, `missing`, `invalid`, and what about. */
  readonly check: readonly { readonly mark: string; readonly text: string }[];
  /** The version that is installed; null when it does not say. */
  readonly installed: string | null;
  /** The version of this program. */
  readonly version: string;
  /** Whether both are the same. */
  readonly current: boolean;
}

/** @throws {CommandError} nothing is installed in this schema */
export async function readStatus(connection: Connection): Promise<DatabaseStatus> {
  const { rows } = await connection
    .execute<Record<string, string | number | null>>("select * from rtm_status", [], {
      outFormat: oracledb.OUT_FORMAT_OBJECT,
    })
    .catch((error: unknown) => {
      throw new CommandError(
        `no RTM_STATUS in this schema, so nothing is installed here (rtm db install): ${messageOf(error)}`,
        { cause: error },
      );
    });
  const report = await connection.execute<[string]>(
    "select to_char(substr(websocket_api.install_check(), 1, 4000)) from dual",
  );
  const text = report.rows?.[0]?.[0] ?? "";
  const installed = /Schema version (\S+)/.exec(text)?.[1] ?? null;
  const columns = Object.entries(rows?.[0] ?? {});
  return {
    status: Object.fromEntries(columns.map(([name, value]) => [name.toLowerCase(), value ?? null])),
    check: text
      .trimEnd()
      .split("\n")
      .map((line) => /^(\S*)\s*(.*)$/.exec(line)!)
      .map(([, mark, what]) => ({ mark: mark!, text: what! })),
    installed,
    version: VERSION,
    current: installed === VERSION,
  };
}

/** The same for people. */
export function statusLines({ status, check, installed, current }: DatabaseStatus): string[] {
  return [
    ...Object.entries(status).map(([name, value]) => `${name.padEnd(18)}${value ?? "-"}`),
    ...check.map(({ mark, text }) => `${mark.padEnd(8)}${text}`),
    ...(current
      ? []
      : [
          `Installed ${installed ?? "an unknown version"}, this is ${VERSION}: run rtm db install.`,
        ]),
  ];
}

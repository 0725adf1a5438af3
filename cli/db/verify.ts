/** `rtm db verify`: proves an installed database side, in transactions and tables of its own. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Connection, ConnectionAttributes } from "oracledb";
import { messageOf } from "../../common/errors.ts";
import { CommandError, EXIT } from "../exit.ts";
import { VERSION } from "../version.ts";
import { logOn, printOutput } from "./db.ts";
import { SQL_FOLDER, splitScript } from "./script.ts";
import { checkRestart, checkThroughDriver, type Installed, installedIn } from "./verify-driver.ts";
import { parseResult, VerifyReport } from "./verify-report.ts";

/** The checks that the database makes itself; sql/verify.sql runs them too. */
export const IN_DATABASE = join(SQL_FOLDER, "verify", "in_database.sql");
/** What RTM_WORKER_API.VERSIONS of the emulator says that it is. */
const EMULATOR = "emulator";

export interface VerifyOptions {
  /** File of the report; by default one in the working directory, named after the time. */
  readonly report?: string | undefined;
}

/** Everything that a run makes, where "..." is eight hex digits of its own. */
export const CREATES: readonly string[] = [
  'tables RTMV_..._T, RTMV_..._WIDE, "RTMV_..._Two words" and RTMV_..._R, dropped at the end',
  "triggers on them: RTMV_..._TRG, those of RTM_WATCH (RTM_W_..., RTM_T_...); with their rows in RTM_WATCHED_TABLE",
  "messages on the channels rtmv_..._channel and rtmv_..._driver: rolled back, or committed and taken from the queue again (a worker that is active delivers those to nobody)",
  "one message in the exception queue, removed again; only while no worker is active",
  "rows of RTM_LOG and RTM_DELIVERY for these channels, deleted at the end",
  "over HTTP, where that is the transport: one message to the relay",
  "sessions: at most six at a time; for up to a second one of them waits for a row of RTMV_..._R",
];

/** What `rtm db verify --dry-run` says; it logs on to nothing. */
export function dryRun(): string {
  return ["rtm db verify would make, in the schema that it logs on to:", ...CREATES].join("\n- ");
}

/** Reports one line per check and writes the report. Returns the exit code of the command. */
export async function verifyDatabase(
  logon: ConnectionAttributes,
  { report: file = defaultFile() }: VerifyOptions,
  print: (line: string) => void = (line) => void process.stdout.write(`${line}\n`),
): Promise<number> {
  const report = new VerifyReport(print);
  const connections: Connection[] = [];
  const open = async () => {
    const connection = await logOn(logon);
    connection.module = "rtm db";
    connection.action = "verify";
    connections.push(connection);
    return connection;
  };
  try {
    const main = await open();
    const installed = await installedIn(main).catch((error: unknown) => {
      throw new CommandError(
        `no RTM_WORKER_API in this schema, so nothing is installed here (rtm db install): ${messageOf(error)}`,
        { cause: error },
      );
    });
    await runChecks(main, open, installed, report);
  } finally {
    for (const connection of connections) {
      // Closed already by a check, or lost: there is nothing more to do with it.
      await connection.close().catch(() => {});
    }
  }
  report.line(`verify: ${report.summary}`);
  report.save(file);
  print(`report: ${file}`);
  return report.count("FAILED") === 0 ? EXIT.ok : EXIT.failed;
}

async function runChecks(
  main: Connection,
  open: () => Promise<Connection>,
  installed: Installed,
  report: VerifyReport,
): Promise<void> {
  const isEmulator = installed.databaseVersion === EMULATOR;
  report.line(`database ${installed.databaseVersion} (${main.oracleServerVersionString})`);
  report.line(`schema   ${installed.schemaVersion}, rtm ${VERSION}, queue ${installed.kind}`);
  const tag = `RTMV_${randomBytes(4).toString("hex")}`.toUpperCase();
  const channel = `${tag.toLowerCase()}_driver`;
  const checks = { open, installed, channel };
  const transport = isEmulator ? "AQ" : await transportOf(main);
  if (transport === "AQ") {
    await checkThroughDriver(checks, report);
  } else {
    // What they send would not come to the queue, but go to the relay.
    const detail = `the transport is ${transport}`;
    report.result({ check: "messages through the driver", verdict: "skipped", ms: 0, detail });
  }
  if (isEmulator) {
    const detail = "this is the emulator, which runs no PL/SQL";
    for (const check of inDatabaseChecks()) {
      report.result({ check, verdict: "skipped", ms: 0, detail });
    }
    return;
  }
  await main.execute("delete from rtm_log where channel = :channel", { channel });
  await main.commit();
  if (transport === "AQ") await checkRestart(checks, `${tag}_R`, report);
  await checkInDatabase(main, report);
}

async function transportOf(connection: Connection): Promise<string> {
  const { rows } = await connection.execute<[string]>("select websocket_api.transport() from dual");
  return rows?.[0]?.[0] ?? "unknown";
}

/** Runs sql/verify/in_database.sql; its error at the end says what its lines have said. */
async function checkInDatabase(connection: Connection, report: VerifyReport): Promise<void> {
  await connection.execute("begin dbms_output.enable(null); end;");
  const failed = report.count("FAILED");
  let ended: unknown;
  for (const { text } of splitScript(readFileSync(IN_DATABASE, "utf8"))) {
    await connection.execute(text).catch((error: unknown) => {
      ended = error;
    });
  }
  await printOutput(connection, (line) => {
    const result = parseResult(line);
    if (result) report.result(result);
    else if (!line.startsWith("verify:")) report.line(line);
  });
  if (ended !== undefined && report.count("FAILED") === failed) {
    report.result({
      check: "checks in the database",
      verdict: "FAILED",
      ms: 0,
      detail: messageOf(ended),
    });
  }
}

/** The names of the checks in the script. */
export function inDatabaseChecks(): string[] {
  return [...readFileSync(IN_DATABASE, "utf8").matchAll(/start_check\('([^']+)'\);/g)].map(
    ([, name]) => name as string,
  );
}

function defaultFile(): string {
  return `rtm-verify-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}.md`;
}

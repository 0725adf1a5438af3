/** The database part of `rtm doctor`: logon, version, account, RTM_WORKER_API, sessions. */
import { createLogger } from "../../common/logger.ts";
import { SecretFileError } from "../../common/secret-file.ts";
import { ApiVersionError, sharedLease, WITH_CONSUMERS } from "../../worker/api-version.ts";
import { qualifiedName, takerOf } from "../../worker/known-queue.ts";
import { Logon, LogonRefusedError } from "../../worker/logon.ts";
import { classifyOracleError, type ErrorClass } from "../../worker/oracle-errors.ts";
import { apiOwner, RtmWorkerApi, type Versions } from "../../worker/rtm-worker-api.ts";
import type { Session } from "../../worker/session.ts";
import { SessionHungError } from "../../worker/session-errors.ts";
import type { RtmConfig } from "../config.ts";
import { placeProblems } from "../oracle-places.ts";
import { VERSION } from "../version.ts";
import { checkBacklog, checkDequeue, checkQueue } from "./queue.ts";
import { detailOf, milliseconds, type Report } from "./report.ts";
import { rowsOf } from "./rows.ts";

/** The oldest release this is written for. */
const OLDEST_DATABASE = 1_900_000_000;
/** A password that expires sooner is worth a warning, days. */
const EXPIRY_DAYS = 14;
/** Clocks further apart make figures misleading, ms; tokens fail beyond their tolerance. */
const CLOCK_WARNING_MS = 2_000;
/** An open dequeue transaction without a call for so long holds messages back, s. */
const ABANDONED_S = 120;

const log = createLogger("silent");

/** Opens the only logon of the doctor: a wrong password tried twice is halfway to a locked account. */
export async function checkLogon(
  { database }: RtmConfig,
  report: Report,
): Promise<Session | undefined> {
  if (database.connectString === "") {
    report({
      check: "database",
      verdict: "warning",
      detail: "database.connectString is not set; a relay alone needs none",
      fix: "set it for rtm serve and rtm worker",
    });
    return undefined;
  }
  for (const { key, problem, fix } of placeProblems(database)) {
    report({ check: key, verdict: "FAILED", detail: problem, fix });
  }
  const began = performance.now();
  try {
    const session = await new Logon(database).open({ action: "doctor", log });
    const took = milliseconds(performance.now() - began);
    report({ check: "network", verdict: "ok", detail: "the listener answers" });
    report({ check: "native encryption", verdict: "ok", detail: "not required by the database" });
    report({
      check: "logon",
      verdict: "ok",
      detail: `${took} as ${database.user || "externalAuth"}`,
    });
    return session;
  } catch (error) {
    reportLogonError(error instanceof LogonRefusedError ? error.cause : error, report);
    return undefined;
  }
}

export function reportLogonError(error: unknown, report: Report): void {
  const { code, class: errorClass, advice } = classifyOracleError(error);
  const detail = detailOf(error);
  if (error instanceof SecretFileError) {
    const fix = "one line of UTF-8 text in a file that this user may read";
    report({ check: "logon", verdict: "FAILED", detail, fix });
    return;
  }
  const network: ErrorClass[] = ["connect", "session_lost"];
  if (error instanceof SessionHungError || network.includes(errorClass)) {
    report({
      check: "network",
      verdict: "FAILED",
      detail,
      fix: `${code === "unknown" ? "the database does not answer" : advice}; check database.connectString, the listener and the firewall between`,
    });
    report({ check: "logon", verdict: "skipped", detail: "needs the network" });
    return;
  }
  if (code === "NJS-533") {
    report({ check: "native encryption", verdict: "FAILED", detail, fix: advice });
    return;
  }
  report({ check: "logon", verdict: "FAILED", detail, fix: advice });
}

/** Everything behind the logon. The session is left as it was: rolled back. */
export async function checkDatabase(
  session: Session,
  config: RtmConfig,
  report: Report,
): Promise<void> {
  checkVersion(session, report);
  await checkPassword(session, report);
  const apis = new Map<string, Versions | undefined>();
  for (const queue of config.worker.queues) {
    const name = await qualifiedName(session, queue.name);
    const owner = apiOwner(config.worker, name);
    if (!apis.has(owner)) apis.set(owner, await checkApi(session, owner, config, report));
    // Of each consumer of a queue it is said apart.
    const taker = takerOf({ ...queue, name });
    const reportQueue: Report = ({ check, ...finding }) =>
      report({ ...finding, check: check.replace(`queue ${name}`, () => `queue ${taker}`) });
    const kind = await checkQueue(session, name, queue, reportQueue);
    await checkDequeue(session, name, kind, queue, reportQueue);
    const versions = apis.get(owner);
    const knowsConsumers = (versions?.apiVersion ?? 0) >= WITH_CONSUMERS;
    if (versions && queue.consumer !== undefined && !knowsConsumers) {
      report({
        check: `queue ${taker} lease`,
        verdict: "warning",
        detail: sharedLease(versions.apiVersion),
        fix: "rtm db install, then restart every worker of the queue",
      });
    }
    await checkBacklog(
      name,
      versions && new RtmWorkerApi(session, owner),
      knowsConsumers ? queue.consumer : undefined,
      reportQueue,
    );
  }
  await checkSessions(session, report);
  await session.rollback();
}

export function checkVersion(
  { serverVersion }: Pick<Session, "serverVersion">,
  report: Report,
): void {
  const detail = `${Math.floor(serverVersion / 1e8)}.${Math.floor((serverVersion % 1e8) / 1e6)}`;
  if (serverVersion >= OLDEST_DATABASE) report({ check: "version", verdict: "ok", detail });
  else report({ check: "version", verdict: "FAILED", detail, fix: "19c or later is needed" });
}

async function checkPassword(session: Session, report: Report): Promise<void> {
  const rows = await rowsOf<{ ACCOUNT_STATUS: string; DAYS_LEFT: number | null }>(
    session,
    "password expiry",
    "select account_status, round(expiry_date - sysdate, 1) as days_left from user_users",
  );
  const check = "password expiry";
  const row = rows?.[0];
  if (!row) {
    report({ check, verdict: "not visible", detail: "USER_USERS" });
  } else if (row.DAYS_LEFT === null) {
    report({ check, verdict: "ok", detail: "the password does not expire" });
  } else {
    const soon = row.DAYS_LEFT < EXPIRY_DAYS || row.ACCOUNT_STATUS.includes("GRACE");
    report({
      check,
      verdict: soon ? "warning" : "ok",
      detail: `${row.ACCOUNT_STATUS}, ${row.DAYS_LEFT} days left`,
      ...(soon && { fix: "set a new password, or a profile without PASSWORD_LIFE_TIME" }),
    });
  }
}

async function checkApi(
  session: Session,
  owner: string,
  config: RtmConfig,
  report: Report,
): Promise<Versions | undefined> {
  const check = `package ${owner}.RTM_WORKER_API`;
  let versions: Versions;
  try {
    versions = await new RtmWorkerApi(session, owner).versions();
  } catch (error) {
    if (error instanceof ApiVersionError) {
      report({ check, verdict: "FAILED", detail: detailOf(error), fix: "rtm db install" });
      return undefined;
    }
    if (classifyOracleError(error).code !== "ORA-06550") throw error;
    const ours = config.worker.queues.some((queue) => queue.channel === undefined);
    report({
      check,
      verdict: ours ? "FAILED" : "not visible",
      detail: "missing, invalid or not granted; without it no lease, no receipts, no claim checks",
      fix: `rtm db install in ${owner}, then sql/grants/worker.sql`,
    });
    return undefined;
  }
  const same = versions.schemaVersion === VERSION;
  report({
    check,
    verdict: same ? "ok" : "warning",
    detail: `version ${versions.schemaVersion}, ours is ${VERSION}`,
    ...(!same && { fix: "upgrade the older side (rtm db install upgrades the database)" }),
  });
  report({
    check: "lease",
    verdict: versions.leasePossible ? "ok" : "warning",
    detail: versions.leasePossible
      ? "a second worker stands by"
      : `${owner} has no EXECUTE on DBMS_LOCK: only one worker may run`,
    ...(!versions.leasePossible && { fix: `grant execute on sys.dbms_lock to ${owner}` }),
  });
  checkClock(versions.clockOffsetMs, config.relay.tokens.clockTolerance, report);
  return versions;
}

function checkClock(offsetMs: number, toleranceMs: number, report: Report): void {
  const distance = Math.abs(offsetMs);
  const detail = `the database's clock is ${milliseconds(distance)} ${offsetMs < 0 ? "behind" : "ahead"}`;
  const fix = "let chrony or NTP set both clocks";
  const check = "clock offset";
  if (distance > toleranceMs) {
    report({ check, verdict: "FAILED", detail: `${detail}; tokens are refused`, fix });
  } else if (distance > CLOCK_WARNING_MS) report({ check, verdict: "warning", detail, fix });
  else report({ check, verdict: "ok", detail });
}

interface SessionRow {
  readonly SID: number;
  readonly SERIAL: number;
  readonly MACHINE: string;
  readonly ACTION: string | null;
  readonly IDLE_S: number;
  readonly IN_TRANSACTION: number;
}

/** Sessions of workers, other than this one: which of them sit on an open dequeue. */
async function checkSessions(session: Session, report: Report): Promise<void> {
  const rows = await rowsOf<SessionRow>(
    session,
    "sessions",
    `select s.sid, s.serial# as serial, s.machine, s.action, s.last_call_et as idle_s,
       case when s.taddr is null then 0 else 1 end as in_transaction
  from v$session s
 where s.module = 'apex-rtm' and s.action like 'dequeue%'`,
  );
  const check = "worker sessions";
  if (!rows) {
    report({ check, verdict: "not visible", detail: "V$SESSION" });
    return;
  }
  const stuck = rows.filter((row) => row.IN_TRANSACTION === 1 && row.IDLE_S > ABANDONED_S);
  if (stuck.length > 0) {
    const list = stuck.map((row) => `${row.SID},${row.SERIAL} of ${row.MACHINE}`).join("; ");
    report({
      check,
      verdict: "warning",
      detail: `${list}: a dequeue has been open for more than ${ABANDONED_S} s (holding, or abandoned)`,
      fix: "if no worker of that host holds it: alter system disconnect session '<sid>,<serial#>' immediate",
    });
  } else {
    const hosts = [...new Set(rows.map((row) => row.MACHINE))].join(", ");
    const detail = rows.length === 0 ? "none dequeues now" : `${rows.length} from ${hosts}`;
    report({ check, verdict: "ok", detail });
  }
}

/** `rtm doctor`: looks at everything between the database and a page, and changes nothing. */
import { printable } from "../../common/printable.ts";
import { mayColour, painter } from "../colour.ts";
import { configFile, type RtmConfig, readConfig } from "../config.ts";
import { EXIT } from "../exit.ts";
import { VERSION } from "../version.ts";
import { checkDatabase, checkLogon } from "./database.ts";
import { checkLog } from "./log.ts";
import { probe } from "./probe.ts";
import { checkRelay, ownRelayUrl } from "./relay.ts";
import { detailOf, type Finding, formatFinding, type Report } from "./report.ts";

const PROBE_MS = 30_000;

export interface DoctorOptions {
  readonly config?: string;
  readonly url?: string;
  readonly probe?: boolean;
  /** How long `--probe` waits, ms. Default 30 s. */
  readonly timeout?: number;
  readonly tokenFile?: string;
  /** One JSON object at the end instead of lines. */
  readonly json?: boolean;
}

/**
 * Prints one line per check. With `--probe` it publishes one message on the channel rtm:probe.
 * @returns the exit code: 1 when a check failed; warnings do not count
 * @throws {ConfigError}
 */
export async function doctor(options: DoctorOptions): Promise<number> {
  const findings: Finding[] = [];
  const paint = painter(mayColour(process.stdout));
  const report: Report = (finding) => {
    findings.push(finding);
    if (!options.json) process.stdout.write(`${formatFinding(finding, paint)}\n`);
  };
  const config = readConfig(options.config, { relay: false });
  const file = configFile(options.config) ?? "no file: environment and defaults";
  report({ check: "configuration", verdict: "ok", detail: file });
  await diagnose(config, options, report);
  const count = (verdict: Finding["verdict"]) =>
    findings.filter((finding) => finding.verdict === verdict).length;
  const [failed, warnings] = [count("FAILED"), count("warning")];
  const summary = { version: VERSION, ok: failed === 0, failed, warnings, findings };
  process.stdout.write(
    options.json
      ? `${printable(JSON.stringify(summary, undefined, 2))}\n`
      : `${failed} failed, ${warnings} warnings\n`,
  );
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

/** All checks behind the configuration. */
export async function diagnose(
  config: RtmConfig,
  options: Omit<DoctorOptions, "config">,
  report: Report,
): Promise<void> {
  const session = await checkLogon(config, report);
  try {
    if (session) await checkDatabase(session, config, report);
  } catch (error) {
    report({
      check: "database",
      verdict: "FAILED",
      detail: detailOf(error),
      fix: "the checks behind it could not run; docs/errors.md explains the code",
    });
  }
  await checkLog(config, report);
  const url = options.url ?? ownRelayUrl(config);
  if (url === undefined) {
    const detail = "relay.port is 0, so its port is not known here";
    report({ check: "relay", verdict: "skipped", detail, fix: "name it with --url" });
  } else await checkRelay(config, url, report);

  if (options.probe) {
    if (session && url !== undefined) {
      await probe(
        session,
        config,
        { ...options, url, timeoutMs: options.timeout ?? PROBE_MS },
        report,
      );
    } else {
      const detail = "needs the database and the relay";
      report({ check: "probe", verdict: "skipped", detail });
    }
  }
  await session?.discard();
}

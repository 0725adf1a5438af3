/** `rtm db verify`: against the emulator as far as that can, and what it makes of a script's lines. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CREATES, IN_DATABASE, inDatabaseChecks, verifyDatabase } from "../../cli/db/verify.ts";
import { formatResult, parseResult } from "../../cli/db/verify-report.ts";
import { OraError } from "../../emulator/index.ts";
import { rtm, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { PASSWORD, World } from "../worker/support.ts";

const script = readFileSync(IN_DATABASE, "utf8");

describe("rtm db verify on the emulator", () => {
  let world: World;
  let report: string;

  beforeEach(async () => {
    world = await World.start();
    report = join(temporaryDirectory(), "report.md");
  });
  afterEach(() => world[Symbol.asyncDispose]());

  async function verify() {
    const lines: string[] = [];
    const logon = { connectString: world.emulator.connectString, user: "RTM", password: PASSWORD };
    const code = await verifyDatabase(logon, { report }, (line) => lines.push(line));
    const results = lines.flatMap((line) => parseResult(line) ?? []);
    const of = (verdict: string) =>
      results.filter((result) => result.verdict === verdict).map(({ check }) => check);
    return { code, lines, of };
  }

  it("passes what needs no PL/SQL, says what needs a database, and leaves nothing", async () => {
    const { code, lines, of } = await verify();
    expect(of("FAILED")).toEqual([]);
    expect(of("ok")).toEqual([
      "the lease is one session's, and ends with it",
      "another session sees nothing before commit, and nothing after rollback",
      "a committed message arrives through the driver, byte for byte",
      expect.stringMatching(
        /^a rollback of the dequeue gives the message back: attempts 0, then 1/,
      ),
      "a payload of 100,000 bytes arrives whole, with its claim check: as a claim check",
    ]);
    expect(of("skipped")).toHaveLength(inDatabaseChecks().length);
    expect(of("skipped")[0]).toContain("which runs no PL/SQL");
    expect(lines).toContain(`verify: 5 ok, 0 failed, ${inDatabaseChecks().length} skipped`);
    expect(code).toBe(0);
    expect(world.emulator.queue("RTM.RTM_QUEUE").messages()).toEqual([]);
    expect(world.schema.claims.size).toBe(0);
    expect(world.emulator.sessions()).toEqual([]);
  });

  it("writes a report without address, user or password", async () => {
    const { lines } = await verify();
    const text = readFileSync(report, "utf8");
    for (const line of lines.slice(0, -1)) expect(text).toContain(line);
    expect(text).toContain(`Node ${process.version}`);
    for (const secret of [PASSWORD, world.emulator.connectString, "127.0.0.1"]) {
      expect(text).not.toContain(secret);
    }
  });

  it("does not write over a report", async () => {
    await verify();
    await expect(verify()).rejects.toThrow("the report cannot be written");
  });

  it("fails, with its line, when the queue refuses", async () => {
    world.schema.failures.set("broadcast_item", new OraError(25207, "enqueue is disabled"));
    const { code, of } = await verify();
    expect(code).toBe(1);
    expect(of("FAILED")).toEqual([expect.stringContaining("ORA-25207: enqueue is disabled")]);
  });

  it("does not fail when an active worker takes the messages, and says so", async () => {
    world.startWorker();
    const states = () => [...world.schema.workers.values()].map(({ state }) => state);
    await until("the worker is active", () => states().includes("ACTIVE"));
    const { code, of } = await verify();
    expect(of("FAILED")).toEqual([]);
    expect(of("ok")[0]).toBe("the lease is one session's, and ends with it: a worker holds it");
    expect(of("skipped")[0]).toContain("a worker is active");
    expect(code).toBe(0);
  });

  it("says that nothing is installed", async () => {
    await world[Symbol.asyncDispose]();
    world = await World.start({}, { workerApi: false });
    await expect(verify()).rejects.toThrow("nothing is installed here (rtm db install)");
    expect(existsSync(report)).toBe(false);
  });

  it("is a command with an exit code", async () => {
    const environment = {
      RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
      RTM_DATABASE_USER: "RTM",
      RTM_DATABASE_PASSWORD: PASSWORD,
    };
    const run = await rtm(["db", "verify", "--report", report], environment).finished;
    expect(run.code).toBe(0);
    expect(run.stdout).toContain(`report: ${report}`);
  });
});

describe("rtm db verify --dry-run", () => {
  it("lists what a run makes, and logs on to nothing", async () => {
    const run = await rtm(["db", "verify", "--dry-run"]).finished;
    expect(run.code).toBe(0);
    for (const line of CREATES) expect(run.stdout).toContain(line);
  });

  it("names every table and trigger of the script", () => {
    const names = [...script.matchAll(/c_tag \|\| '([A-Z]+\b|Two words)/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(3);
    const list = CREATES.join("\n");
    for (const name of new Set(names)) expect(list).toContain(`RTMV_..._${name}`);
  });
});

describe("sql/verify/in_database.sql", () => {
  it("runs every check that it has, and ends each one", () => {
    const main = script.slice(script.lastIndexOf("\nbegin\n"));
    const checks = [...script.matchAll(/^ {2}procedure (check_\w+) is$/gm)].map(([, name]) => name);
    expect(checks.length).toBe(inDatabaseChecks().length);
    for (const name of checks) expect(main).toContain(`  ${name};`);
    for (const body of script.split(/^ {2}procedure check_/m).slice(1)) {
      expect(body).toMatch(
        /\n {4,6}passed\b[\s\S]*\n {2}exception\n {4}when others then\n {6}broke;/,
      );
    }
  });

  it("has a line that the command reads", () => {
    for (const verdict of ["ok", "FAILED", "skipped"] as const) {
      const result = { verdict, ms: 12, check: "a check: why" };
      expect(parseResult(formatResult(result))).toEqual(result);
    }
    expect(parseResult("database Oracle 23ai")).toBeUndefined();
  });
});

/** `rtm db` on the emulator, which answers statements by a table: what is run, printed and reported. */
import { describe, expect, it } from "vitest";
import { runDatabaseVerb, type StatusFormat } from "../../cli/db/db.ts";
import { expandScript, SQL_FOLDER, splitScript } from "../../cli/db/script.ts";
import { VERSION } from "../../cli/version.ts";
import { OraError } from "../../emulator/index.ts";
import { withEmulator } from "../emulator/support.ts";

/** An emulator that accepts our scripts and keeps what it was sent. */
async function database() {
  const { emulator } = await withEmulator();
  const sent: string[] = [];
  const output: string[] = [];
  emulator.onStatement(/^(--|declare|begin|create)/, ({ sql }) => {
    sent.push(sql);
    output.push(`ran ${sent.length}`);
  });
  emulator.onStatement("dbms_output.enable", () => {});
  emulator.onStatement("dbms_output.get_lines", () => {
    const lines = output.splice(0, 100);
    return { out: { lines, count: lines.length } };
  });
  const printed: string[] = [];
  const logon = { connectString: emulator.connectString, user: "rtm", password: "secret" };
  const run = (
    verb: "install" | "uninstall" | "status",
    more = {},
    format: StatusFormat = "text",
  ) =>
    runDatabaseVerb(
      verb,
      { ...logon, ...more },
      { print: (line) => void printed.push(line), format },
    );
  return { emulator, sent, printed, run };
}

describe("rtm db", () => {
  it.each(["install", "uninstall"] as const)(
    "%s runs the script, statement by statement",
    async (verb) => {
      const { sent, printed, run } = await database();
      await run(verb);
      const statements = splitScript(expandScript(`${SQL_FOLDER}/${verb}.sql`));
      expect(sent).toEqual(statements.map(({ text }) => text));
      expect(printed.filter((line) => line.startsWith("ran"))).toHaveLength(statements.length);
      if (verb === "install") expect(printed).toContain("create or replace view rtm_status as");
    },
  );

  it("stops at the statement that fails, names it, and prints what it said before", async () => {
    const { emulator, sent, printed, run } = await database();
    emulator.onStatement("package rtm_aq", () => {
      throw new OraError(1031, "insufficient privileges");
    });
    await expect(run("install")).rejects.toThrow(
      /create or replace package rtm_aq.*ORA-01031: insufficient privileges/s,
    );
    expect(sent.at(-1)).toMatch(/^create or replace package rtm_message/);
    expect(printed).toContain(`ran ${sent.length}`);
  });

  it("says who could not log on, and does not repeat the password", async () => {
    const { run } = await database();
    const failure = await run("status", { password: "not-the-password" }).catch((error) => error);
    expect(failure).toMatchObject({ code: "RTM_COMMAND_FAILED" });
    expect(failure.message).toMatch(/cannot log on to .* as rtm: ORA-01017/);
    expect(failure.message).not.toContain("not-the-password");
  });

  it("prints the status, and that another version is installed", async () => {
    const { emulator, printed, run } = await database();
    emulator.onStatement("select * from rtm_status", () => ({
      rows: [{ TRANSPORT: "AQ", BACKLOG: 0, LAST_ERROR: null }],
    }));
    emulator.onStatement("install_check", () => ({
      rows: [{ REPORT: "info    Schema version 0.0.1\nok      Jobs\n" }],
    }));
    await run("status");
    expect(printed).toEqual([
      "transport         AQ",
      "backlog           0",
      "last_error        -",
      "info    Schema version 0.0.1",
      "ok      Jobs",
      expect.stringMatching(/^Installed 0\.0\.1, this is .*: run rtm db install\.$/),
    ]);
  });

  it("prints the status as JSON for programs", async () => {
    const { emulator, printed, run } = await database();
    emulator.onStatement("select * from rtm_status", () => ({
      rows: [{ TRANSPORT: "AQ", BACKLOG: 3, LAST_ERROR: null }],
    }));
    emulator.onStatement("install_check", () => ({
      rows: [{ REPORT: `info    Schema version ${VERSION}\nmissing Jobs: grant create job\n` }],
    }));
    await run("status", {}, "json");
    expect(JSON.parse(printed.join("\n"))).toEqual({
      status: { transport: "AQ", backlog: 3, last_error: null },
      check: [
        { mark: "info", text: `Schema version ${VERSION}` },
        { mark: "missing", text: "Jobs: grant create job" },
      ],
      installed: VERSION,
      version: VERSION,
      current: true,
    });
  });

  it("says that nothing is installed", async () => {
    const { emulator, run } = await database();
    emulator.onStatement("rtm_status", () => {
      throw new OraError(942, "table or view does not exist");
    });
    await expect(run("status")).rejects.toThrow(/nothing is installed here \(rtm db install\)/);
  });
});

describe("splitScript", () => {
  it("leaves nothing out", () => {
    expect(() => splitScript("begin null; end;\n/\n-- a comment\nselect 1 from dual\n")).toThrow(
      "does not end with a slash: select 1 from dual",
    );
    expect(splitScript("begin null; end;\n/\n-- only a comment\n")).toHaveLength(1);
  });
});

/** When `rtm` writes colours, and where the relay is that its commands ask. */
import { describe, expect, it } from "vitest";
import { mayColour, painter } from "../../cli/colour.ts";
import { formatFinding } from "../../cli/doctor/report.ts";
import { program } from "../../cli/program.ts";
import { rtm } from "../support/programs.ts";

describe("colours", () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [true, { TERM: "dumb" }, false],
    [false, { FORCE_COLOR: "1" }, true],
    [true, { FORCE_COLOR: "0" }, false],
    [false, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
  ])("a terminal %s with %j: %s", (isTTY, env, expected) => {
    expect(mayColour({ isTTY }, env)).toBe(expected);
  });

  it("paint the verdict only, and others' control characters stay harmless", () => {
    const line = formatFinding(
      { check: "logon", verdict: "FAILED", detail: "\u001b[2J" },
      painter(true),
    );
    expect(line).toBe("\u001b[31;1mFAILED     \u001b[0m logon: \\u001b[2J");
  });
});

describe("rtm doctor --json", () => {
  it("prints one object, without colours, and fails as it does in lines", async () => {
    const { code, stdout } = await rtm(["doctor", "--json", "--url", "http://127.0.0.1:9"], {
      FORCE_COLOR: "1",
    }).finished;
    expect(code).toBe(1);
    const summary = JSON.parse(stdout);
    expect(summary).toMatchObject({ ok: false, failed: 1 });
    expect(summary.findings).toContainEqual(
      expect.objectContaining({ check: expect.stringMatching(/^relay/), verdict: "FAILED" }),
    );
  });

  it("colours the lines where it is told to", async () => {
    const run = await rtm(["doctor", "--url", "http://127.0.0.1:9"], { FORCE_COLOR: "1" }).finished;
    expect(run.stdout).toContain("\u001b[31;1mFAILED");
    const plain = await rtm(["doctor", "--url", "http://127.0.0.1:9"]).finished;
    expect(plain.stdout).not.toContain("\u001b");
  });
});

describe("RTM_URL", () => {
  it.each([
    ["tail", "sales"],
    ["publish", "sales", "1"],
  ])("says where the relay is: rtm %s", async (...args) => {
    const { code, stderr } = await rtm(args, { RTM_URL: "http://127.0.0.1:9/" }).finished;
    expect([code, stderr]).toEqual([1, expect.stringContaining("http://127.0.0.1:9/")]);
  });

  it("gives way to --url, and is checked as it", async () => {
    const run = await rtm(["tail", "sales", "--url", "http://127.0.0.1:9/other"], {
      RTM_URL: "http://127.0.0.1:9/",
    }).finished;
    expect(run.stderr).toContain("http://127.0.0.1:9/other");
    const wrong = await rtm(["tail", "sales"], { RTM_URL: "localhost" }).finished;
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("RTM_URL");
  });

  it("is known to the doctor and to every command that asks a relay", () => {
    const commands = program().commands.filter((command) =>
      command.options.some(({ long }) => long === "--url"),
    );
    expect(commands.map((command) => command.name())).toEqual(
      expect.arrayContaining(["doctor", "publish", "tail"]),
    );
    for (const command of commands) {
      const option = command.options.find(({ long }) => long === "--url");
      expect([command.name(), option?.envVar]).toEqual([command.name(), expect.any(String)]);
    }
  });

  it("does not keep a service from starting", async () => {
    const { code } = await rtm(["check-config"], {
      RTM_URL: "http://127.0.0.1:9",
      RTM_RELAY_INSECURE: "true",
    }).finished;
    expect(code).toBe(0);
  });
});

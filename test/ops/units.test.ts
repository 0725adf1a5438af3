import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { stopTimeMs } from "../../cli/check-config.ts";
import { rtmConfig } from "../../cli/config.ts";
import { program } from "../../cli/program.ts";
import { sampleConfig } from "../../cli/reference.ts";
import { parseConfig } from "../../common/config.ts";
import { parseDuration } from "../../common/units.ts";
import { has, temporaryDirectory } from "../support/programs.ts";

const UNITS = readdirSync("systemd").filter((name) => name.endsWith(".service"));

function values(unit: string, key: string): string[] {
  const text = readFileSync(join("systemd", unit), "utf8");
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value!);
}

it("there are three units", () => {
  expect(UNITS.sort()).toEqual(["rtm-relay.service", "rtm-worker@.service", "rtm.service"]);
});

describe.each(UNITS)("%s", (unit) => {
  const single = (key: string) => {
    const found = values(unit, key);
    expect(found).toHaveLength(1);
    return found[0]!;
  };

  it("stops later than the service needs by default", () => {
    const sample = parseConfig(rtmConfig, JSON.parse(sampleConfig()));
    expect(parseDuration(single("TimeoutStopSec"))).toBeGreaterThan(stopTimeMs(sample));
  });

  it("starts a command that exists, from where install.sh puts it", () => {
    const [node, script, ...args] = single("ExecStart").split(" ");
    expect(node).toBe("/usr/bin/node");
    expect(script).toBe("/opt/apex-rtm/current/node_modules/apex-rtm/build/cli/rtm.js");
    const names = program().commands.map((command) => command.name());
    expect(names).toContain(args[0]);
    // `serve` checks the same and more, and its exit code counts; that of ExecStartPre does not.
    expect(values(unit, "ExecStartPre")).toEqual([]);
    expect(readFileSync("systemd/install.sh", "utf8")).toContain(unit);
  });

  it("passes environment variables that rtm knows", () => {
    const variables = values(unit, "Environment").map(
      (each) => each.split("=") as [string, string],
    );
    const env = Object.fromEntries(variables.filter(([name]) => name !== "RTM_CONFIG"));
    const raw = { relay: { insecure: true } };
    expect(() => parseConfig(rtmConfig, raw, env)).not.toThrow();
  });

  it("is notified by a child, watched, and not restarted for a wrong configuration", () => {
    expect(single("Type")).toBe("notify");
    expect(single("NotifyAccess")).toBe("all");
    expect(parseDuration(single("WatchdogSec"))).toBeGreaterThanOrEqual(30_000);
    expect(single("RestartPreventExitStatus")).toBe("2 243");
    expect(values(unit, "MemoryDenyWriteExecute")).toEqual([]);
  });

  /** The unit with this machine's node, so that `verify` finds it. */
  function analyze(args: readonly string[], text: string) {
    const path = join(temporaryDirectory(), unit);
    writeFileSync(path, text.replaceAll("/usr/bin/node", process.execPath));
    const run = spawnSync("systemd-analyze", [...args, path], { encoding: "utf8" });
    return { status: run.status, output: run.stdout + run.stderr };
  }

  const text = readFileSync(join("systemd", unit), "utf8");
  const analyzer = has("systemd-analyze");
  const why = analyzer ? "" : " (skipped: no systemd-analyze)";

  it.skipIf(!analyzer)(`systemd-analyze verify finds nothing${why}`, () => {
    expect(analyze(["verify", "--man=no"], text)).toEqual({ status: 0, output: "" });
    const misspelt = analyze(["verify", "--man=no"], text.replace("WatchdogSec", "WatchdugSec"));
    expect(misspelt.output).toContain("WatchdugSec");
  });

  it.skipIf(!analyzer)(`systemd-analyze security says at most 2.0${why}`, () => {
    const args = ["security", "--offline=yes", "--threshold=20", "--no-pager"];
    expect(analyze(args, text).status).toBe(0);
    const open = `${text.split("# Sandbox")[0]}
`;
    expect(analyze(args, open).status).not.toBe(0);
  });
});

it("two workers and a relay of one host do not want the same admin port", () => {
  const variables = values("rtm-worker@.service", "Environment");
  expect(variables).toContain("RTM_SERVICE_ADMIN_PORT=0");
  // systemd.exec(5): what an EnvironmentFile sets wins, so that a fixed port can be given.
  expect(values("rtm-worker@.service", "EnvironmentFile")).toEqual([
    "-/etc/apex-rtm/worker-%i.env",
  ]);
});

it("install.sh is valid sh", () => {
  expect(existsSync("systemd/install.sh")).toBe(true);
  expect(spawnSync("sh", ["-n", "systemd/install.sh"]).status).toBe(0);
});

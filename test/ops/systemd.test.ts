/**
 * Our units under a real systemd, unchanged but for where the log goes and a shorter watchdog:
 * RTM_TEST_SYSTEMD=1, as root. It runs in namespaces of its own (systemd.sh).
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Program, rtmPath } from "../support/programs.ts";
import { until } from "../support/until.ts";

const WANTED = process.env.RTM_TEST_SYSTEMD === "1";
const SLOW_MS = 120_000;
const SECRET = "0123456789abcdef0123456789abcdef";

let machine: Program;
let pid = 0;

/** A path of the machine, as seen from here. */
const inside = (path: string) => `/proc/${pid}/root${path}`;
const logged = () =>
  existsSync(inside("/run/rtm.log")) ? readFileSync(inside("/run/rtm.log"), "utf8") : "";

function systemctl(...args: readonly string[]) {
  const enter = ["--target", String(pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup"];
  return spawnSync("nsenter", [...enter, "systemctl", "--no-pager", ...args], { encoding: "utf8" });
}

function show(unit: string): Record<string, string> {
  const lines = systemctl("show", unit).stdout.split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
}

function configure(relay: object): void {
  writeFileSync(
    inside("/etc/apex-rtm/rtm.json"),
    JSON.stringify({ relay, service: { admin: { port: 0 } } }),
  );
}

const RELAY = { port: 0, drain: { window: "0s", grace: "100ms" } };
const WITH_KEY = { ...RELAY, tokens: { secrets: [{ kid: "k", secret: SECRET }] } };

describe.skipIf(!WANTED)(
  `systemd${WANTED ? "" : " (skipped: wants root; RTM_TEST_SYSTEMD=1)"}`,
  { timeout: SLOW_MS },
  () => {
    beforeAll(async () => {
      rtmPath();
      const args = ["test/ops/systemd.sh", process.cwd(), process.execPath];
      machine = new Program("sh", args, process.env, "file");
      const children = () => {
        const { pid: parent } = machine.child;
        return readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim();
      };
      await until(
        "systemd runs",
        () => {
          if (machine.child.exitCode !== null) throw new Error(machine.output);
          pid = Number(children().split(" ")[0] ?? 0);
          return pid > 0 && systemctl("is-active", "rtm-test.target").stdout.trim() === "active";
        },
        SLOW_MS,
      );
    }, SLOW_MS);

    afterAll(async () => {
      machine.child.kill("SIGKILL");
      await machine.exited;
      const group = `/sys/fs/cgroup/systemd/rtm-test-${machine.child.pid}`;
      if (!existsSync(group)) return;
      const remove = (directory: string): void => {
        for (const entry of readdirSync(directory, { withFileTypes: true })) {
          if (entry.isDirectory()) remove(join(directory, entry.name));
        }
        rmdirSync(directory);
      };
      await until("its control groups are empty", () => {
        try {
          remove(group);
          return true;
        } catch {
          return false;
        }
      });
    });

    const settled = (unit: string) =>
      until(`${unit} has failed`, () => show(unit).ActiveState === "failed", SLOW_MS);

    it("does not start again for a wrong configuration", async () => {
      configure({ ...RELAY, prot: 1 });
      expect(systemctl("start", "rtm-relay").status).not.toBe(0);
      await settled("rtm-relay");
      expect(show("rtm-relay")).toMatchObject({
        Result: "exit-code",
        ExecMainStatus: "2",
        NRestarts: "0",
      });
      expect(logged()).toContain("relay.prot");
    });

    it.each(["rtm", "rtm-worker@sales"])(
      "does not start %s again without the file of its password",
      async (unit) => {
        expect(systemctl("start", unit).status).not.toBe(0);
        await settled(unit);
        expect(show(unit)).toMatchObject({ ExecMainStatus: "243", NRestarts: "0" });
      },
    );

    it("starts, reloads without an end, is ended by the watchdog, starts again, and stops", async () => {
      configure(WITH_KEY);
      systemctl("reset-failed");
      const started = systemctl("start", "rtm-relay");
      expect(started.status, started.stderr + logged()).toBe(0);
      const first = show("rtm-relay");
      expect(first).toMatchObject({ ActiveState: "active", SubState: "running" });

      expect(systemctl("reload", "rtm-relay").status).toBe(0);
      await until("it has read its keys", () => logged().includes("keys read"), SLOW_MS);
      expect(show("rtm-relay")).toMatchObject({ MainPID: first.MainPID, NRestarts: "0" });

      // A frozen process sends no sign of life.
      systemctl("kill", "--kill-whom=main", "--signal=SIGSTOP", "rtm-relay");
      await until("it was started again", () => show("rtm-relay").NRestarts === "1", SLOW_MS);
      await until("it runs", () => show("rtm-relay").ActiveState === "active", SLOW_MS);
      expect(show("rtm-relay").MainPID).not.toBe(first.MainPID);

      expect(systemctl("stop", "rtm-relay").status).toBe(0);
      expect(show("rtm-relay")).toMatchObject({
        ActiveState: "inactive",
        Result: "success",
        ExecMainStatus: "0",
      });
      expect(readdirSync(inside("/var/lib/apex-rtm"))).toContain("relay-history.state");
    });
  },
);

/** The built relay at awkward moments of its life: signals while it starts, two at once, no descriptors. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { descriptorProblem } from "../../relay/http/accepts.ts";
import type { Relay } from "../../relay/relay.ts";
import { post, startTestRelay, testConfig } from "../relay/support.ts";
import { type Finished, Program, rtm, rtmPath, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";

const STATE = "relay-history.state";
/** Reading the large history takes a while on a busy machine. */
const SLOW_MS = 60_000;

/** A configuration for relays that share one state directory. */
function relayConfig(directory: string): string {
  const file = join(directory, "rtm.json");
  const relay = {
    port: 0,
    insecure: true,
    history: { count: 100_000, totalCount: 100_000 },
    drain: { window: "0s", grace: "100ms" },
  };
  const service = { admin: { port: 0 }, stateDirectory: join(directory, "state") };
  writeFileSync(file, JSON.stringify({ relay, service }));
  return file;
}

async function listening(relay: Program): Promise<{ port: number; epoch: string }> {
  const line = /^.*"msg":"relay listens".*$/m;
  await until(
    "the relay listens",
    () => {
      if (relay.child.exitCode !== null) throw new Error(relay.stdout + relay.stderr);
      return line.test(relay.stdout);
    },
    SLOW_MS,
  );
  return JSON.parse(line.exec(relay.stdout)![0]) as { port: number; epoch: string };
}

async function stop(relay: Program): Promise<number | null> {
  relay.child.kill("SIGTERM");
  return (await relay.finished).code;
}

/** A state directory with a history that takes a while to read; returns its epoch. */
async function saveLargeHistory(directory: string): Promise<string> {
  const history = { count: 100_000, totalCount: 100_000 };
  const relay = await startTestRelay({ history }, { stateDirectory: join(directory, "state") });
  for (let round = 0; round < 20; round++) {
    const batch = Array.from({ length: 1000 }, (_, n) => ({ channel: `c${n}`, payload: { n } }));
    expect((await post(relay, batch)).status).toBe(200);
  }
  await relay.drain();
  return epochOf(directory);
}

function epochOf(directory: string): string {
  const text = readFileSync(join(directory, "state", STATE), "latin1");
  return /"epoch":"([^"]+)"/.exec(text)![1]!;
}

it("a relay that is told to stop while it takes its history gives it back", {
  timeout: SLOW_MS * 2,
}, async () => {
  const directory = temporaryDirectory();
  const epoch = await saveLargeHistory(directory);
  const relay = rtm(["relay", "--config", relayConfig(directory)]);
  const file = join(directory, "state", STATE);
  const end = performance.now() + 20_000;
  while (existsSync(file)) {
    if (performance.now() > end) throw new Error("the relay never took the file");
    await new Promise(setImmediate);
  }
  expect(await stop(relay), relay.stdout + relay.stderr).toBe(0);
  expect(epochOf(directory)).toBe(epoch);
  // Beside it lies the file of revocations, which is there from the first start on.
  const history = readdirSync(join(directory, "state")).filter((name) => name.includes("history"));
  expect(history).toEqual([STATE]);
});

it("of two relays that start at once on one directory one goes on with the epoch", {
  timeout: SLOW_MS * 2,
}, async () => {
  const directory = temporaryDirectory();
  const epoch = await saveLargeHistory(directory);
  const config = relayConfig(directory);
  const relays = [1, 2].map(() => rtm(["relay", "--config", config]));
  const epochs = (await Promise.all(relays.map(listening))).map((each) => each.epoch);
  expect(epochs.filter((each) => each === epoch)).toHaveLength(1);
  expect(new Set(epochs).size).toBe(2);
  // Whoever stops last replaces what the other has saved, and says so.
  for (const relay of relays) await stop(relay);
  const warned = relays.map(({ stdout }) => stdout.includes("each needs a directory of its own"));
  expect(warned).toEqual([false, true]);
  expect(epochOf(directory)).toBe(epochs[1]);
});

const namespaces = spawnSync("unshare", ["--pid", "--fork", "true"]).status === 0;
it.skipIf(!namespaces)(
  `as process 1 a command that takes no signals itself ends by SIGTERM${namespaces ? "" : " (skipped: no PID namespaces)"}`,
  async () => {
    const args = [
      "--pid",
      "--fork",
      "--kill-child",
      process.execPath,
      rtmPath(),
      "publish",
      "c",
      "-",
    ];
    // It waits for standard input, and as process 1 it has no default action.
    const parent = new Program("unshare", args);
    const children = () =>
      readFileSync(`/proc/${parent.child.pid}/task/${parent.child.pid}/children`, "utf8").trim();
    await until("it runs", () => children() !== "");
    const pid = Number(children());
    let finished: Finished | undefined;
    void parent.finished.then((result) => {
      finished = result;
    });
    // Again and again, because the first may come before any JavaScript runs.
    await until("it ends", () => {
      try {
        if (!finished) process.kill(pid, "SIGTERM");
      } catch {
        // Gone; its parent follows.
      }
      return finished !== undefined;
    });
    expect(finished!.code).toBe(128 + 15);
  },
);

/** Connections that stay open until the test ends. */
async function open(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, "127.0.0.1"));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.on("error", () => {});
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  return sockets;
}

it("a relay whose clients use up its descriptors says so, answers, and saves its history", async () => {
  const directory = temporaryDirectory();
  const config = relayConfig(directory);
  const command = `ulimit -n 220 && exec "${process.execPath}" "${rtmPath()}" relay --config "${config}"`;
  const relay = new Program("sh", ["-c", command]);
  const { port, epoch } = await listening(relay);
  const adminPort = /"adminPort":(\d+)/.exec(relay.stdout)![1];
  expect(relay.stdout).toMatch(/"level":"warn".*this process may open 220 files/);
  const message = [{ channel: "a", payload: 1 }];
  expect((await post({ port } as Relay, message)).status).toBe(200);

  await open(port, 300);
  // Every socket that it may take is taken; this one needs another descriptor all the same.
  await until("it counts the refusals", async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return Number(/^rtm_relay_accepts_refused_total (\d+)$/m.exec(metrics)![1]) > 50;
  });
  expect(relay.stdout).toContain("a connection was refused");
  expect(await stop(relay), relay.stdout).toBe(0);
  expect(epochOf(directory)).toBe(epoch);
});

it("the limit of open files is compared with the connections", () => {
  const config = testConfig({ limits: { connections: 1000 } });
  expect(descriptorProblem(config, 1000)).toMatch(
    /may open 1000 files, but relay\.limits\.connections of 1000 needs 1\d\d\d: raise LimitNOFILE/,
  );
  expect(descriptorProblem(config, 65_536)).toBeUndefined();
  expect(descriptorProblem(config, undefined)).toBeUndefined();
});

it.each([
  ["relay", 0, null],
  // The terminal of a command for people was closed.
  ["tail", null, "SIGHUP"],
])("a SIGHUP in the first moment: rtm %s", (verb, status, signal) => {
  const signalsPath = pathToFileURL(join(dirname(rtmPath()), "signals.js")).href;
  const script =
    `const { guardStart } = await import(${JSON.stringify(signalsPath)});` +
    `guardStart("${verb}"); process.kill(process.pid, "SIGHUP"); setTimeout(() => {}, 200);`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  expect([ended.status, ended.signal]).toEqual([status, signal]);
});

it.skipIf(!existsSync("/dev/full"))("a command says that its output cannot be written", () => {
  const full = openSync("/dev/full", "w");
  const ended = spawnSync(process.execPath, [rtmPath(), "check-config", "--sample"], {
    stdio: ["ignore", full, "pipe"],
    encoding: "utf8",
  });
  closeSync(full);
  expect(ended.stderr).toMatch(/^rtm: standard output cannot be written: ENOSPC.*\n$/);
  expect(ended.status).toBe(1);
});

it("says so when it may open too few files even to start", async () => {
  const command = `ulimit -n 40 && exec "${process.execPath}" "${rtmPath()}" --version`;
  const { code, stdout, stderr } = await new Program("sh", ["-c", command]).finished;
  expect({ code, stdout, stderr }).toEqual({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(/^rtm: this process may open 40 files, .*LimitNOFILE.*\n$/),
  });
});

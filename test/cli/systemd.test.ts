/** What `rtm` tells systemd, through a fake systemd-notify and through the real one. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { type Health, ServiceManager } from "../../cli/service/systemd.ts";
import { has, Program, rtm, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { log, PASSWORD, World } from "../worker/support.ts";

/** Keeps what was sent, one line per call: assignments separated by tabs. */
interface Recorder {
  readonly env: NodeJS.ProcessEnv;
  calls(): string[][];
}

/** A systemd-notify earlier in PATH that records its arguments, and its environment. */
function fakeProgram(): Recorder & { environment(): string; parents(): string[] } {
  const directory = temporaryDirectory();
  const record = join(directory, "record");
  const environment = join(directory, "environment");
  const parents = join(directory, "parents");
  const script = `#!/bin/sh
( IFS='\t'; printf '%s\\n' "$*" >> '${record}' )
env > '${environment}'
echo $PPID >> '${parents}'
`;
  writeFileSync(join(directory, "systemd-notify"), script, { mode: 0o755 });
  return {
    env: {
      NOTIFY_SOCKET: join(directory, "socket"),
      PATH: `${directory}:${process.env.PATH}`,
    },
    calls: () => lines(existsSync(record) ? readFileSync(record, "utf8") : ""),
    environment: () => readFileSync(environment, "utf8"),
    parents: () => lines(existsSync(parents) ? readFileSync(parents, "utf8") : "").flat(),
  };
}

function lines(text: string): string[][] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t"));
}

const LISTENER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    data, fds, flags, address = socket.recv_fds(s, 65536, 8)
    for fd in fds: os.close(fd)
    print("\\t".join(x for x in data.decode().split("\\n") if x), flush=True)
`;

/** The real systemd-notify, and a datagram socket that receives from it as systemd does. */
async function realSocket(): Promise<Recorder> {
  const socket = join(temporaryDirectory(), "notify");
  const listener = new Program("python3", ["-c", LISTENER, socket]);
  await until("the notify socket listens", () => listener.stdout.startsWith("listening"));
  return {
    env: { NOTIFY_SOCKET: socket },
    // systemd-notify ends each message with a barrier, which systemd answers by closing it.
    calls: () =>
      lines(listener.stdout)
        .filter(([one]) => one !== "BARRIER=1")
        .slice(1),
  };
}

const flat = (recorder: Recorder) => recorder.calls().flat();
const count = (recorder: Recorder, assignment: string) =>
  flat(recorder).filter((each) => each === assignment).length;

describe("rtm serve under a service manager", () => {
  let world: World | undefined;

  afterEach(async () => {
    await world?.[Symbol.asyncDispose]();
    world = undefined;
  });

  async function check(recorder: Recorder): Promise<void> {
    world = await World.start();
    const { faults } = world.emulator;
    const service = rtm(["serve"], {
      ...recorder.env,
      PATH: recorder.env.PATH ?? process.env.PATH,
      WATCHDOG_USEC: "300000",
      RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
      RTM_DATABASE_USER: "RTM",
      RTM_DATABASE_PASSWORD: PASSWORD,
      RTM_RELAY_INSECURE: "true",
      RTM_RELAY_PORT: "0",
      RTM_SERVICE_ADMIN_PORT: "0",
      RTM_RELAY_DRAIN_WINDOW: "0s",
    });
    await until("the watchdog is fed", () => count(recorder, "WATCHDOG=1") >= 3);
    expect(recorder.calls()[0]).toContain("READY=1");
    await until("it says active", () => flat(recorder).includes("STATUS=ready, RTM_QUEUE active"));

    // The database goes away: that is no reason to restart.
    await faults.refuseConnections();
    for (const session of world.emulator.sessions()) faults.kill(session);
    const away = () => flat(recorder).findIndex((each) => /^STATUS=.*RTM_QUEUE backoff/.test(each));
    await until("it says backoff", () => away() >= 0);
    const fed = count(recorder, "WATCHDOG=1");
    await until("the watchdog is fed all the same", () => count(recorder, "WATCHDOG=1") > fed + 2);
    expect(service.child.exitCode).toBeNull();

    service.child.kill("SIGTERM");
    expect((await service.finished).code).toBe(0);
    expect(recorder.calls().at(-1)).toContain("STOPPING=1");
    expect(count(recorder, "READY=1")).toBe(1);
  }

  it("ready, watchdog through an outage of the database, stop", async () => {
    const recorder = fakeProgram();
    await check(recorder);
    // The child's environment holds no secret.
    expect(recorder.environment()).toContain("NOTIFY_SOCKET=");
    expect(recorder.environment()).not.toContain("RTM_");
  });

  const tools = has("python3") && has("systemd-notify");
  it.skipIf(!tools)(
    `the same with the real systemd-notify${tools ? "" : " (skipped: needs python3 and systemd-notify)"}`,
    async () => check(await realSocket()),
  );
});

describe("ServiceManager", () => {
  const healthy: Health = { status: "ready", stuck: [] };

  function start(env: NodeJS.ProcessEnv, health: () => Health): ServiceManager {
    const manager = ServiceManager.of(env, log)!;
    manager.start(health);
    onTestFinished(async () => {
      manager.stopping();
      await manager.sent();
    });
    return manager;
  }

  it("does nothing without a service manager", () => {
    expect(ServiceManager.of({ PATH: process.env.PATH }, log)).toBeUndefined();
  });

  it("starves the watchdog while a loop is stuck, and says why", async () => {
    const recorder = fakeProgram();
    let health = healthy;
    start({ ...recorder.env, WATCHDOG_USEC: "30000" }, () => health);
    await until("it is fed", () => count(recorder, "WATCHDOG=1") >= 2);
    health = { status: "ready", stuck: ["RTM_QUEUE: active\nwithout a step"] };
    const said = "STATUS=stuck: RTM_QUEUE: active without a step";
    await until("it says what is stuck", () => flat(recorder).includes(said));
    const fed = count(recorder, "WATCHDOG=1");
    health = { status: "checked again", stuck: ["still"] };
    await until("another turn has passed", () => flat(recorder).includes("STATUS=stuck: still"));
    expect(count(recorder, "WATCHDOG=1")).toBe(fed);
  });

  it("needs no new process of its own for a message: one shell starts them all", async () => {
    const recorder = fakeProgram();
    start({ ...recorder.env, WATCHDOG_USEC: "30000" }, () => healthy);
    await until("it is fed", () => count(recorder, "WATCHDOG=1") >= 3);
    expect(new Set(recorder.parents()).size).toBe(1);
    expect(recorder.parents()).not.toContain(String(process.pid));
  });

  it("says a change of the status within moments, whatever the watchdog's period", async () => {
    const recorder = fakeProgram();
    let health = { status: "starting", stuck: [] as string[] };
    start({ ...recorder.env, WATCHDOG_USEC: "60000000" }, () => health);
    await until("it says starting", () => flat(recorder).includes("STATUS=starting"));
    health = { status: "ready", stuck: [] };
    await until("it says ready", () => flat(recorder).includes("STATUS=ready"));
    expect(count(recorder, "WATCHDOG=1")).toBe(1);
  });

  it("goes on when the shell is killed", async () => {
    const recorder = fakeProgram();
    start({ ...recorder.env, WATCHDOG_USEC: "30000" }, () => healthy);
    await until("it is fed", () => recorder.parents().length > 0);
    process.kill(Number(recorder.parents()[0]), "SIGKILL");
    await until("another one feeds it", () => new Set(recorder.parents()).size > 1);
  });

  it("feeds no watchdog that is meant for another process", async () => {
    const recorder = fakeProgram();
    const env = { ...recorder.env, WATCHDOG_USEC: "30000", WATCHDOG_PID: "1" };
    await start(env, () => healthy).sent();
    expect(flat(recorder)).toEqual(["READY=1", "STATUS=ready"]);
  });

  it("lives without the program systemd-notify", async () => {
    const manager = start({ NOTIFY_SOCKET: "/nowhere", PATH: "/nonexistent" }, () => healthy);
    await expect(manager.sent()).resolves.toBeUndefined();
  });
});

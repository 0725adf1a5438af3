/** A wrong password must not lock the account, however many queues there are. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { databaseConfig } from "../../worker/config.ts";
import { boundsOf } from "../../worker/consumer.ts";
import { Logon, LogonRefusedError } from "../../worker/logon.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { log, PASSWORD, World } from "../worker/support.ts";

let world: World;
let proxy: TcpProxy;
let directory: string;
beforeEach(async () => {
  world = await World.start();
  proxy = await TcpProxy.to(world.emulator.port);
  directory = await mkdtemp(join(tmpdir(), "rtm-test-"));
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await proxy.close();
  await rm(directory, { recursive: true });
});

it("is tried once by all queues together, and a changed file at once", async () => {
  const passwordFile = join(directory, "password");
  await writeFile(passwordFile, "wrong\n");
  const names = ["A", "B", "C", "D"];
  for (const name of names) world.emulator.createQueue({ name: `RTM.${name}` });
  const worker = world.startWorker(
    { queues: names.map((name) => ({ name, payload: "RAW", channel: "c" })) },
    {},
    { connectString: world.through(proxy), password: undefined, passwordFile },
  );
  await until("every queue knows of the refusal", () =>
    worker.status().every(({ reason }) => reason === "ORA-01017"),
  ).catch(() => {});
  await until(
    "every queue has asked several times",
    async () => (await world.metric(worker, "rtm_worker_session_failures_total")) > 20,
  );
  expect(proxy.accepted).toBe(1);
  await writeFile(passwordFile, `${PASSWORD}\n`);
  await until("all queues dequeue with the new password", () =>
    worker.status().every(({ state }) => state === "active"),
  );
});

describe("the waits between two logons with the same password", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("grow from 5 minutes to an hour", async () => {
    const logon = new Logon(
      parseConfig(databaseConfig, {
        connectString: world.through(proxy),
        user: "RTM",
        password: "wrong",
      }),
    );
    const tries: number[] = [];
    for (let minute = 0; minute <= 200; minute++) {
      const { accepted } = proxy;
      const failure = await logon.open({ action: "test", log }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(LogonRefusedError);
      expect(boundsOf(failure).floorMs).toBeGreaterThanOrEqual(5000);
      if (proxy.accepted > accepted) tries.push(minute);
      vi.advanceTimersByTime(60_000);
    }
    expect(tries).toEqual([0, 5, 15, 35, 75, 135, 195]);
  });
});

it("retries what a DBA has to mend slowly", () => {
  for (const code of ["ORA-24010", "NJS-533", "ORA-06550"]) {
    expect(boundsOf(Object.assign(new Error(code), { code })).floorMs).toBeGreaterThanOrEqual(
      30_000,
    );
  }
});

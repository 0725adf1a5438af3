/** The served process is stopped and restarted in the middle of a load: nothing is missing. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { type Program, rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";
import { expectExactly } from "./expect.ts";
import { runLoad, Subscriber } from "./support.ts";

const MESSAGES = 4_000;

describe.each(["19c", "23ai"] as const)("SIGTERM under load, %s framing", (profile) => {
  let world: World;
  let directory: string;
  const processes: Program[] = [];

  beforeEach(async () => {
    world = await World.start({ profile });
    directory = await mkdtemp(join(tmpdir(), "rtm-e2e-"));
  });

  afterEach(async () => {
    for (const each of processes.splice(0)) {
      each.kill("SIGKILL");
      await each.exited;
    }
    await world[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  it("exits with 0, loses nothing, and the rest arrives after the restart", async () => {
    const port = await freePort();
    const file = join(directory, "rtm.json");
    await writeFile(
      file,
      JSON.stringify({
        service: { admin: { enabled: false }, stateDirectory: directory },
        database: world.database,
        relay: {
          port,
          insecure: true,
          drain: { window: "100ms" },
        },
      }),
    );
    const serve = async () => {
      const served = rtm(["serve", "--config", file]);
      processes.push(served);
      await served.printed(/"msg":"dequeuing"/);
      return served;
    };
    const first = await serve();
    const subscriber = new Subscriber(() => `ws://127.0.0.1:${port}/ws`, ["load"]);
    await subscriber.live();

    let stopping: Promise<number | null> | undefined;
    let restarted: Promise<Program> | undefined;
    const load = await runLoad({
      connect: () => world.connect(),
      sessions: 4,
      messages: MESSAGES,
      channel: () => "load",
      onProgress: (committed) => {
        if (stopping || committed < MESSAGES / 3) return;
        first.kill("SIGTERM");
        stopping = first.exited;
        restarted = stopping.then(serve);
      },
    });
    expect(await stopping, first.output).toBe(0);
    await restarted;
    const distinct = () => new Set(subscriber.messages.map(({ id }) => id)).size;
    await until("all messages have arrived", () => distinct() >= MESSAGES, 60_000);
    expectExactly(subscriber, load);
    // The history came over the restart, so the relay could prove that nothing is missing.
    expect(subscriber.gaps).toBe(0);
    expect(subscriber.connections).toBeGreaterThan(1);
    await until("settled", () => world.emulator.queue(world.schema.queueName).depth() === 0);
    const last = processes.at(-1)!;
    last.kill("SIGTERM");
    expect(await last.exited, last.output).toBe(0);
    await subscriber.close();
  });
});

/** What the built service does at SIGHUP, at SIGTERM, and at a second SIGTERM. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { Client, post, startTestRelay, token } from "../relay/support.ts";
import { type Program, rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

const KEYS = ["first-api-key-0123456789", "second-api-key-0123456789"] as const;
const SECRETS = ["first-secret-".padEnd(32, "1"), "second-secret-".padEnd(32, "2")] as const;

let directory: string;
const processes: Program[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "rtm-signals-"));
});
afterEach(async () => {
  for (const each of processes.splice(0)) {
    each.kill("SIGKILL");
    await each.exited;
  }
  await rm(directory, { recursive: true });
});

/** Writes a file of the test's directory; returns its path. */
function file(name: string, content: string | object): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function start(role: "relay" | "worker" | "serve", config: object): Program {
  const started = rtm([role, "--config", file("rtm.json", config)]);
  processes.push(started);
  return started;
}

/** Sends SIGHUP and waits for what only this reload prints. */
async function reload(started: Program, pattern: RegExp): Promise<string> {
  started.output = "";
  started.kill("SIGHUP");
  await started.printed(pattern);
  return started.output;
}

async function startRelay(): Promise<{ relay: Program; port: number; config: object }> {
  const config = {
    service: { admin: { enabled: false } },
    relay: {
      port: 0,
      tokens: { secrets: [{ kid: "k1", secretFile: file("secret", `${SECRETS[0]}\n`) }] },
      apiKeys: [{ name: "worker", keyFile: file("key", `${KEYS[0]}\n`), trusted: true }],
      // Far beyond the deadlines of the test, for a client that does not answer the close.
      drain: { window: "10m", grace: "1m" },
    },
  };
  const relay = start("relay", config);
  const port = Number((await relay.printed(/"port":(\d+).*"msg":"relay listens"/))[1]);
  return { relay, port, config };
}

/** A client with a token of that secret; its first frame tells whether it was let in. */
async function reader(port: number, secret: string): Promise<Client> {
  return Client.connect(
    { port },
    { token: await token(["sales"], { secret }), subscribe: [{ channel: "sales" }] },
  );
}

/** A client that hears of the stop, beside one that never answers the close and so delays its end. */
async function stopSlowly(stopped: Program, port: number): Promise<void> {
  const [answering, mute] = [await reader(port, SECRETS[0]), await reader(port, SECRETS[0])];
  onTestFinished(() => mute.terminate());
  await answering.nextN(2);
  await mute.nextN(2);
  mute.stopReading();
  stopped.kill("SIGTERM");
  expect(await answering.end()).toMatchObject({ code: 4000 });
  expect(stopped.child.exitCode).toBeNull();
}

async function publish(port: number, key: string, n: number): Promise<number> {
  const { status } = await post(
    { port } as Relay,
    { channel: "sales", payload: n },
    { "x-api-key": key },
  );
  return status;
}

describe("rtm relay at SIGHUP", () => {
  it("takes new keys, refuses the old ones, and keeps its clients", async () => {
    const { relay, port } = await startRelay();
    const client = await reader(port, SECRETS[0]);
    await client.nextN(2);
    expect(await publish(port, KEYS[0], 1)).toBe(200);
    expect(await publish(port, KEYS[1], 1)).toBe(401);

    file("key", `${KEYS[1]}\n`);
    file("secret", `${SECRETS[1]}\n`);
    await reload(relay, /"msg":"keys read"/);

    expect(await publish(port, KEYS[0], 2)).toBe(401);
    expect(await publish(port, KEYS[1], 2)).toBe(200);
    const late = await reader(port, SECRETS[1]);
    expect(await late.nextN(2)).toMatchObject([{ op: "connected" }, { op: "subscribed" }]);
    const refused = await reader(port, SECRETS[0]);
    expect(await refused.end()).toMatchObject({ code: 4101 });
    // On the connection that was there before.
    expect(await client.nextN(2)).toMatchObject([
      { payload: 1, seq: 1 },
      { payload: 2, seq: 2 },
    ]);
    expect(relay.output).not.toContain(KEYS[1]);
    expect(relay.output).not.toContain(SECRETS[1]);
    client.terminate();
    late.terminate();
  });

  it("keeps the old keys when the new ones cannot be used, and logs why", async () => {
    const { relay, port, config } = await startRelay();
    const client = await reader(port, SECRETS[0]);
    await client.nextN(2);
    const failed = /"reason":"((?:[^"\\]|\\.)*)","msg":"reload failed; the old keys stay"/;

    file("key", KEYS[1]);
    file("secret", "short");
    expect(await reload(relay, failed)).toMatch(/secrets\[0\]\.secretFile.*at least 32 bytes/);
    await rm(join(directory, "secret"));
    expect(await reload(relay, failed)).toMatch(/secrets\[0\]\.secretFile.*cannot be read/);
    file("rtm.json", '{"relay":');
    expect(await reload(relay, failed)).toContain("rtm.json");

    // Of a reload that fails in one file nothing is taken over, so the good new key is not known.
    expect(await publish(port, KEYS[1], 1)).toBe(401);
    expect(await publish(port, KEYS[0], 1)).toBe(200);
    const second = await reader(port, SECRETS[0]);
    expect(await second.next()).toMatchObject({ op: "connected" });
    expect(await client.next()).toMatchObject({ payload: 1 });

    // And it is taken over once all is mended.
    file("rtm.json", config);
    file("secret", SECRETS[1]);
    await reload(relay, /"msg":"keys read"/);
    expect(await publish(port, KEYS[1], 2)).toBe(200);
    expect(await client.next()).toMatchObject({ payload: 2 });
    client.terminate();
    second.terminate();
  });
});

describe("rtm relay at SIGTERM", () => {
  it("closes its clients and ends with 0", async () => {
    const { relay, port } = await startRelay();
    const client = await reader(port, SECRETS[0]);
    await client.nextN(2);
    relay.kill("SIGTERM");
    expect(await client.end()).toMatchObject({ code: 4000 });
    expect(await relay.exited, relay.output).toBe(0);
    expect(relay.output).toContain('"msg":"relay stopped"');
  });

  it.each(["SIGTERM", "SIGINT"] as const)("ends at once with 1 at a second %s", async (second) => {
    const { relay, port } = await startRelay();
    await stopSlowly(relay, port);
    relay.kill(second);
    expect(await relay.exited, relay.output).toBe(1);
    expect(relay.output).toContain(`"signal":"${second}","msg":"stopping at once"`);
    expect(relay.output).not.toContain('"msg":"relay stopped"');
  });
});

describe("with a database", () => {
  let world: World;
  beforeEach(async () => {
    world = await World.start();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it("rtm worker takes a new publish key at SIGHUP, and keeps the old one when there is none", async () => {
    const relay = await startTestRelay({ apiKeys: [{ name: "w", key: KEYS[1], trusted: true }] });
    try {
      const client = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
      await client.nextN(2);
      const worker = start("worker", {
        database: world.database,
        worker: {
          publishUrl: `http://127.0.0.1:${relay.port}`,
          publishKeyFile: file("key", KEYS[0]),
          queues: [{ name: "RTM_QUEUE", wait: "1s" }],
        },
        service: { admin: { enabled: false }, stateDirectory: directory },
      });
      await world.publish(1, 1, "public");
      await worker.printed(/RTM_RELAY_UNAVAILABLE/);

      file("key", `${KEYS[1]}\n`);
      await reload(worker, /"msg":"publish key read"/);
      expect(await client.next()).toMatchObject({ payload: { n: 1 } });
      await until("settled", () => world.queue.depth() === 0);

      file("key", "\n");
      const failed = await reload(worker, /"msg":"reload failed; the old keys stay"/);
      expect(failed).toContain("key is empty: write the secret into it");
      file("key", `${KEYS[1]}ä\n`);
      expect(await reload(worker, /"msg":"reload failed/)).toContain("printable ASCII");
      await world.publish(2, 2, "public");
      expect(await client.next()).toMatchObject({ payload: { n: 2 } });
      worker.kill("SIGTERM");
      expect(await worker.exited, worker.output).toBe(0);
      expect(worker.output).not.toContain(KEYS[1]);
      client.terminate();
    } finally {
      await relay.close();
    }
  });

  it("rtm serve ends at once with 1 at a second SIGTERM", async () => {
    const serve = start("serve", {
      service: { admin: { enabled: false } },
      database: world.database,
      relay: {
        port: 0,
        insecure: true,
        drain: { window: "0s", grace: "1m" },
      },
    });
    const port = Number((await serve.printed(/"port":(\d+).*"msg":"relay listens"/))[1]);
    await serve.printed(/"msg":"dequeuing"/);
    await stopSlowly(serve, port);
    serve.kill("SIGTERM");
    expect(await serve.exited, serve.output).toBe(1);
  });
});

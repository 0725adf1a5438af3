/** Servers publish over `rtm.publish.v1` while a node or the engine is killed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Message } from "../../relay/contract/message.ts";
import { SocketPublisher } from "../../relay/remote-publisher/socket-publisher.ts";
import { handOver } from "../../worker/hand-over.ts";
import { readerOf, relayFor } from "../relay/publish-support.ts";
import { API_KEY, type Client, message, SOURCE } from "../relay/support.ts";
import { Program, rtmPath, temporaryDirectory } from "../support/programs.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const PATIENCE = 60_000;
/** Of a batch. */
const SIZE = 10;

/** A node in a process of its own. */
async function nodeProcess(engine: RedisServer): Promise<{ program: Program; port: number }> {
  const relay = {
    port: 0,
    publicChannels: ["public"],
    log: { kind: "valkey", url: engine.url, grace: "60s" },
    apiKeys: [{ name: "worker", key: API_KEY, trusted: true }],
  };
  const file = join(temporaryDirectory(), "rtm.json");
  writeFileSync(file, JSON.stringify({ relay, service: { admin: { enabled: false } } }), {
    mode: 0o600,
  });
  const program = new Program(process.execPath, [rtmPath(), "relay", "--config", file]);
  const [, port] = await program.printed(/"port":(\d+)[^\n]*relay listens/, PATIENCE);
  return { program, port: Number(port) };
}

const nodeHere = (engine: RedisServer) =>
  relayFor({ log: { kind: "valkey", url: engine.url, grace: "60s" } });

function publisherTo(port: number): SocketPublisher {
  const publisher = new SocketPublisher({
    url: `http://127.0.0.1:${port}`,
    apiKey: API_KEY,
    timeoutMs: 5000,
    postForMs: 0,
  });
  onTestFinished(() => publisher.close());
  return publisher;
}

/** Gives batches until all of each is settled, one after the other, as a worker does. */
class Load {
  readonly #publisher: SocketPublisher;
  readonly #name: string;
  /** Of the batch in hand: messages up to this number were given. */
  begun = 0;
  #stopped = false;
  readonly #run: Promise<void>;

  constructor(publisher: SocketPublisher, name: string) {
    this.#publisher = publisher;
    this.#name = name;
    this.#run = this.#publish();
    this.#run.catch(() => {});
  }

  async #publish(): Promise<void> {
    while (!this.#stopped) {
      const from = this.begun;
      this.begun += SIZE;
      const batch: Message[] = Array.from({ length: SIZE }, (_, n) =>
        message("public", from + n + 1, { eventName: this.#name }),
      );
      const results = await handOver(batch, {
        publisher: this.#publisher,
        source: SOURCE,
        signal: AbortSignal.timeout(PATIENCE),
        ping: async () => {},
        pingMs: 60_000,
        bounds: { baseMs: 1, capMs: 20 },
        onHold: () => {},
      });
      expect(results.every(({ status }) => status === "accepted")).toBe(true);
    }
  }

  /** Resolves when the batch in hand is settled. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#run;
  }
}

/** What a reader of the channel was given of each event, since it was told last that it missed something. */
class Heard {
  readonly client: Client;
  /** Times that it was told. */
  told = 0;
  #given = new Map<string, number[]>();
  onTold = () => {};

  constructor(client: Client) {
    this.client = client;
  }

  read(): void {
    for (const text of this.client.received.splice(0)) {
      const { op, eventName, payload, recovered } = JSON.parse(text);
      if (op === "subscribed") {
        expect(recovered).toBe(false);
        this.told++;
        this.#given = new Map();
        this.onTold();
      } else if (op === undefined) this.of(eventName).push(payload);
    }
  }

  of(event: string): number[] {
    const given = this.#given.get(event);
    if (given) return given;
    const none: number[] = [];
    this.#given.set(event, none);
    return none;
  }
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

describe.skipIf(ENGINE_MISSING !== "")(`publishing sockets and faults${ENGINE_MISSING}`, () => {
  it("publish-node-killed: every message once and in order on the other node", {
    timeout: 3 * PATIENCE,
  }, async () => {
    const engine = await RedisServer.start();
    const node = await nodeProcess(engine);
    const other = await nodeHere(engine);
    const proxy = await TcpProxy.to(node.port);
    onTestFinished(() => proxy.close());
    const heard = new Heard(await readerOf(other));
    const publisher = publisherTo(proxy.port);
    const loads = ["a", "b"].map((name) => new Load(publisher, name));
    const passed = (count: number) => () => {
      heard.read();
      return loads.every((_, n) => heard.of("ab"[n] as string).length >= count);
    };
    await until("it is under load", passed(100), PATIENCE);
    node.program.kill("SIGKILL");
    await node.program.exited;
    proxy.cut();
    proxy.retarget(other.port);
    proxy.restore();
    await until("it goes on", passed(200), PATIENCE);
    for (const load of loads) await load.stop();
    for (const [n, { begun }] of loads.entries()) {
      const given = heard.of("ab"[n] as string);
      await until("all has come", () => {
        heard.read();
        return given.at(-1) === begun;
      });
      expect(given).toEqual(numbers(1, begun));
    }
    expect(heard.told).toBe(0);
  });

  it.each([
    ["with its file", ["--appendonly", "yes", "--appendfsync", "always"]],
    ["without one", []],
  ])("publish-engine-killed, %s: nobody misses anything without being told", async (_how, args) => {
    const engine = await RedisServer.start(...args);
    const [node, other] = [await nodeHere(engine), await nodeHere(engine)];
    const readers = [new Heard(await readerOf(node)), new Heard(await readerOf(other))];
    const load = new Load(publisherTo(node.port), "a");
    /** What was given before each reader was told. */
    const begun = readers.map(() => 0);
    for (const [n, reader] of readers.entries()) {
      reader.onTold = () => {
        begun[n] = load.begun;
      };
    }
    const passed = (count: number, told: number) => () => {
      for (const reader of readers) reader.read();
      return readers.every((each) => each.told === told && each.of("a").length >= count);
    };
    await until("it is under load", passed(100, 0), PATIENCE);
    for (const reader of readers) {
      expect(reader.of("a")).toEqual(numbers(1, reader.of("a").length));
    }
    await engine.kill();
    await engine.restart();
    await until("it goes on", passed(100, 1), PATIENCE);
    await load.stop();
    for (const [n, reader] of readers.entries()) {
      await until("all has come", () => {
        reader.read();
        return reader.of("a").at(-1) === load.begun;
      });
      const given = reader.of("a");
      // Once and in order; and nothing is missing of what was given after it was told.
      expect(given).toEqual(numbers(given[0] as number, load.begun));
      expect(given[0]).toBeLessThanOrEqual((begun[n] as number) + 1);
      expect(reader.told).toBe(1);
    }
  });
});

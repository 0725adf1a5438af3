/** The worker's end of `rtm.publish.v1`, against real relays, relays of before, and lines that break. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import type { Message } from "../../relay/contract/message.ts";
import {
  SocketPublisher,
  type SocketPublisherOptions,
} from "../../relay/remote-publisher/socket-publisher.ts";
import { handOver } from "../../worker/hand-over.ts";
import { HostileProxy } from "../support/hostile-proxy.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { moodyLog, readerOf, relayFor } from "./publish-support.ts";
import { API_KEY, Client, message, SOURCE, startTestRelay, testConfig, until } from "./support.ts";

interface Ways {
  readonly publisher: SocketPublisher;
  /** Which way it went, each time that it changed. */
  readonly ways: string[];
}

function publisherFor(
  target: { port: number },
  options: Partial<SocketPublisherOptions> = {},
): Ways {
  const ways: string[] = [];
  const publisher = new SocketPublisher({
    url: `http://127.0.0.1:${target.port}`,
    apiKey: API_KEY,
    timeoutMs: 5000,
    onWay: (way) => ways.push(way),
    ...options,
  });
  onTestFinished(() => publisher.close());
  return { publisher, ways };
}

const batchOf = (count: number, from = 1): Message[] =>
  Array.from({ length: count }, (_, n) => message("public", from + n));

const statuses = (results: readonly { status: string }[]) => results.map(({ status }) => status);
const tally = (results: readonly { status: string }[]) => {
  const counts: Record<string, number> = {};
  for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

/** Gives a batch again until all of it is settled, as the worker does. */
const deliver = (publisher: SocketPublisher, batch: readonly Message[]) =>
  handOver(batch, {
    publisher,
    source: SOURCE,
    signal: AbortSignal.timeout(20_000),
    ping: async () => {},
    pingMs: 60_000,
    bounds: { baseMs: 1, capMs: 20 },
    onHold: () => {},
  });

const payloads = async (reader: Client, count: number) =>
  (await reader.nextN(count)).map(({ payload }) => payload);
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, n) => from + n);

/** A relay of before: it knows no publishing socket, and takes POSTs. */
async function earlierRelay(onUpgrade?: RequestListener) {
  const posts: Message[][] = [];
  const server = createServer((request, response) => {
    if (request.method !== "POST") {
      if (onUpgrade) onUpgrade(request, response);
      else response.writeHead(404).end("WebSockets are served at /ws and at / and nowhere else.");
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const list = JSON.parse(Buffer.concat(chunks).toString()) as Message[];
      posts.push(list);
      const results = list.map(({ id }) => ({ ok: true, id, recipients: 0 }));
      response.end(JSON.stringify({ ok: true, results }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, posts };
}

describe("SocketPublisher", () => {
  it("carries payloads byte for byte, ids, times and names, and opens one socket", async () => {
    const relay = await relayFor();
    const proxy = await TcpProxy.to(relay.port);
    onTestFinished(() => proxy.close());
    const reader = await readerOf(relay);
    const { publisher, ways } = publisherFor(proxy);
    const sent = message("public", 0, { payload: '{"n": 9007199254740993,"d":1.10}' });
    expect(await publisher.publish([sent])).toEqual([{ status: "accepted", recipients: 1 }]);
    expect(await reader.nextText()).toBe(
      `{"channel":"public","eventName":"event","payload":{"n": 9007199254740993,"d":1.10},"id":"${sent.id}","seq":1,"ts":${sent.ts}}`,
    );
    expect(await publisher.publish([sent])).toMatchObject([{ duplicate: true }]);
    expect(await publisher.publish([])).toEqual([]);
    await Promise.all([publisher.publish(batchOf(3)), publisher.publish(batchOf(3, 4))]);
    expect(ways).toEqual(["socket"]);
    expect(proxy.accepted).toBe(1);
  });

  it("gives one result per message, in order, over many frames", async () => {
    const relay = await relayFor();
    const reader = await readerOf(relay);
    const { publisher } = publisherFor(relay, {});
    const batch = batchOf(5000).map((each, n) =>
      n % 500 === 3 ? { ...each, channel: "bad*" } : each,
    );
    const results = await publisher.publish(batch);
    expect(statuses(results)).toEqual(
      batch.map((_, n) => (n % 500 === 3 ? "rejected" : "accepted")),
    );
    expect(await payloads(reader, 4990)).toEqual(
      numbers(5000).filter((number) => (number - 1) % 500 !== 3),
    );
  });

  it("finds what can never be taken, and delivers all others in order", async () => {
    const relay = await relayFor({
      limits: { messageBytes: "8KiB", batchBytes: "16KiB", batchMessages: 7 },
      slowClients: { connectionBytes: "4MiB" },
    });
    const reader = await readerOf(relay);
    const { publisher, ways } = publisherFor(relay);
    const batch = batchOf(40);
    const broken = (n: number, payload: string) => {
      batch[n] = { ...(batch[n] as Message), payload };
    };
    broken(5, "{no json");
    broken(6, JSON.stringify("x".repeat(9000)));
    broken(20, JSON.stringify("x".repeat(30_000)));
    broken(21, "}");
    broken(39, '{"a":');
    const results = await publisher.publish(batch);
    const codes = results.map((each) => (each.status === "rejected" ? each.code : each.status));
    expect(codes[5]).toBe("bad_json");
    expect(codes[6]).toBe("message_too_large");
    expect(codes[20]).toBe("message_too_large");
    expect(codes[21]).toBe("bad_json");
    expect(codes[39]).toBe("bad_json");
    expect(tally(results)).toEqual({ accepted: 35, rejected: 5 });
    const left = numbers(40).filter((n) => ![6, 7, 21, 22, 40].includes(n));
    expect(await payloads(reader, 35)).toEqual(left);
    expect(ways).toEqual(["socket"]);
  });

  it("sends nothing behind what could not be taken, and goes on after `resume`", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const reader = await readerOf(relay);
    const { publisher } = publisherFor(relay);
    moody.moods.push("take", "refuse");
    await publisher.publish([message("public", 0)]);
    const batch = batchOf(3000);
    const results = await publisher.publish(batch);
    expect(tally(results)).toEqual({ unavailable: 3000 });
    expect(tally(await publisher.publish(batch))).toEqual({ accepted: 3000 });
    expect(await payloads(reader, 3001)).toEqual(numbers(3001, 0));
  });

  it("whatever the log refuses, and whoever else publishes: each once, in order", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const readers = [await readerOf(relay), await readerOf(relay)];
    const { publisher } = publisherFor(relay);
    // Every third append is refused for a while.
    for (let n = 0; n < 200; n++) moody.moods.push(n % 3 === 2 ? "refuse" : "take");
    const queue = async (name: string) => {
      for (let from = 1; from <= 600; from += 150) {
        const batch = batchOf(150, from).map((each) => ({ ...each, eventName: name }));
        expect(tally(await deliver(publisher, batch))).toEqual({ accepted: 150 });
      }
    };
    await Promise.all([queue("a"), queue("b"), queue("c")]);
    for (const reader of readers) {
      const frames = await reader.nextN(1800);
      for (const name of ["a", "b", "c"]) {
        const own = frames.filter(({ eventName }) => eventName === name);
        expect(own.map(({ payload }) => payload)).toEqual(numbers(600));
      }
    }
  });

  it.each([
    ["no key of the relay's", { apiKey: "wrong-key-0123456789" }, "unauthorized", "apiKeys"],
    ["a key that is not trusted", { apiKey: "other-key-0123456789" }, "key_not_trusted", "trusted"],
  ])("holds everything with %s, and says what to do", async (_what, options, code, fix) => {
    const relay = await relayFor({
      apiKeys: [
        { name: "worker", key: API_KEY, trusted: true },
        { name: "other", key: "other-key-0123456789" },
      ],
    });
    const { publisher, ways } = publisherFor(relay, options);
    const results = await publisher.publish(batchOf(2));
    expect(results).toMatchObject([
      { status: "unavailable", code, message: expect.stringContaining(fix) },
      { status: "unavailable", code },
    ]);
    expect(ways).toEqual([]);
    publisher.useKey(API_KEY);
    expect(statuses(await publisher.publish(batchOf(2)))).toEqual(["accepted", "accepted"]);
  });

  it("a key that is exchanged on both ends loses nothing", async () => {
    const keys = (...all: string[]) => ({
      apiKeys: all.map((key, n) => ({ name: n === 0 ? "worker" : "next", key, trusted: true })),
    });
    const relay = await relayFor(keys(API_KEY));
    const reader = await readerOf(relay);
    const { publisher } = publisherFor(relay);
    await deliver(publisher, batchOf(10));
    relay.reload(testConfig(keys("new-key-0123456789")));
    const second = batchOf(10, 11);
    expect(await publisher.publish(second)).toMatchObject([
      { status: "unavailable", code: "unauthorized" },
      ...second.slice(1).map(() => ({ status: "unavailable" })),
    ]);
    publisher.useKey("new-key-0123456789");
    await deliver(publisher, second);
    const third = deliver(publisher, batchOf(500, 21));
    publisher.useKey("new-key-0123456789");
    await third;
    expect(await payloads(reader, 520)).toEqual(numbers(520));
  });
});

describe("SocketPublisher where there is no socket", () => {
  it.each([
    ["a relay of before", undefined],
    ["a proxy that answers itself", (_request, response) => response.writeHead(200).end("<html>")],
    ["a proxy that redirects", (_request, response) => response.writeHead(302).end()],
    ["a proxy that hangs up", (request) => request.socket.destroy()],
    ["a proxy that does not answer", () => {}],
  ] as [string, RequestListener | undefined][])("posts to %s", async (_what, onUpgrade) => {
    let asked = 0;
    const relay = await earlierRelay((request, response) => {
      asked++;
      if (onUpgrade) onUpgrade(request, response);
      else response.writeHead(404).end("nowhere");
    });
    const { publisher, ways } = publisherFor(relay, { timeoutMs: 300 });
    for (let n = 0; n < 3; n++) {
      expect(statuses(await publisher.publish(batchOf(2)))).toEqual(["accepted", "accepted"]);
    }
    expect(relay.posts).toHaveLength(3);
    expect(ways).toEqual(["post"]);
    // It does not try again with every batch.
    expect(asked).toBe(1);
  });

  it("tries the socket again after a while, and stays with it", async () => {
    const relay = await relayFor();
    const proxy = await HostileProxy.to(() => relay.port);
    onTestFinished(() => proxy.close());
    proxy.webSockets = "hang";
    const port = Number(new URL(proxy.url).port);
    const reader = await readerOf(relay);
    const { publisher, ways } = publisherFor({ port }, { timeoutMs: 300, postForMs: 0 });
    await deliver(publisher, batchOf(3));
    proxy.webSockets = "pass";
    await deliver(publisher, batchOf(3, 4));
    expect(ways).toEqual(["post", "socket"]);
    expect(await payloads(reader, 6)).toEqual(numbers(6));
  });

  it("posts where frames are eaten after the handshake", async () => {
    const relay = await relayFor();
    const proxy = await HostileProxy.to(() => relay.port);
    onTestFinished(() => proxy.close());
    proxy.webSockets = "eat";
    const reader = await readerOf(relay);
    const port = Number(new URL(proxy.url).port);
    const { publisher, ways } = publisherFor({ port }, { timeoutMs: 300 });
    await deliver(publisher, batchOf(3));
    expect(ways.at(-1)).toBe("post");
    expect(await payloads(reader, 3)).toEqual(numbers(3));
  });

  it("posts where what it sends is eaten, although it was told that all is ready", async () => {
    const relay = await earlierRelay();
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(sockets, "listening");
    onTestFinished(() => sockets.close());
    sockets.on("connection", (ws) => {
      const limits = { batchMessages: 10, batchBytes: 10_000, messageBytes: 1000 };
      ws.send(JSON.stringify({ op: "ready", window: 4, pingMs: 1000, limits }));
    });
    const target = { port: (sockets.address() as AddressInfo).port };
    const { publisher, ways } = publisherFor(target, { timeoutMs: 200 });
    expect(tally(await publisher.publish(batchOf(100)))).toEqual({ unavailable: 100 });
    // The second goes by POST, and this server takes none; a relay would.
    expect(tally(await publisher.publish(batchOf(1)))).toEqual({ unavailable: 1 });
    expect(ways).toEqual(["socket", "post"]);
    expect(relay.posts).toEqual([]);
  });

  it("posts when all sockets of the relay are taken", async () => {
    const relay = await relayFor({ limits: { publishers: 1 } });
    const first = publisherFor(relay);
    await first.publisher.publish(batchOf(1));
    const second = publisherFor(relay);
    expect(statuses(await second.publisher.publish(batchOf(1)))).toEqual(["accepted"]);
    expect([first.ways, second.ways]).toEqual([["socket"], ["post"]]);
  });

  it("says unavailable when nobody listens, and comes back by socket", async () => {
    const relay = await startTestRelay();
    const { port } = relay;
    await relay.close();
    const { publisher, ways } = publisherFor({ port });
    expect(await publisher.publish(batchOf(1))).toMatchObject([{ status: "unavailable" }]);
    await relayFor({ port });
    expect(statuses(await publisher.publish(batchOf(1)))).toEqual(["accepted"]);
    expect(ways).toEqual(["socket"]);
  });
});

describe("SocketPublisher when the line breaks", () => {
  it("dies with a full window whose answers are lost: nothing is lost or doubled", async () => {
    const relay = await relayFor();
    const proxy = await TcpProxy.to(relay.port);
    onTestFinished(() => proxy.close());
    const reader = await readerOf(relay);
    const { publisher, ways } = publisherFor(proxy);
    await deliver(publisher, batchOf(10));
    const answered = proxy.blockAnswers();
    const batch = batchOf(5000, 11);
    const first = publisher.publish(batch);
    await answered;
    proxy.cut();
    const lost = await first;
    expect(tally(lost)).toEqual({ unavailable: 5000 });
    proxy.restore();
    await deliver(publisher, batch);
    expect(await payloads(reader, 5010)).toEqual(numbers(5010));
    expect(ways).toEqual(["socket"]);
  });

  it("goes silent with a full window: the same, after the time for an answer", async () => {
    const relay = await relayFor();
    const proxy = await TcpProxy.to(relay.port);
    onTestFinished(() => proxy.close());
    const reader = await readerOf(relay);
    const { publisher } = publisherFor(proxy, { timeoutMs: 300 });
    await deliver(publisher, batchOf(10));
    proxy.swallow();
    const batch = batchOf(1000, 11);
    const lost = await publisher.publish(batch);
    expect(lost[0]).toMatchObject({ message: expect.stringContaining("no answer within 300 ms") });
    proxy.cut();
    proxy.restore();
    await deliver(publisher, batch);
    expect(await payloads(reader, 1010)).toEqual(numbers(1010));
  });

  it("the relay is restarted again and again under load", async () => {
    const stateDirectory = await mkdtemp(join(tmpdir(), "rtm-test-"));
    onTestFinished(() => rm(stateDirectory, { recursive: true }));
    let relay = await startTestRelay({ stateDirectory });
    onTestFinished(() => relay.close());
    const { port } = relay;
    const { publisher, ways } = publisherFor({ port });
    const reader = await readerOf({ port });
    const first = deliver(publisher, batchOf(100));
    const { epoch } = await hello({ port });
    await first;
    reader.terminate();
    let sent = 100;
    let stopped = false;
    const load = (async () => {
      for (; !stopped; sent += 100) await deliver(publisher, batchOf(100, sent + 1));
    })();
    for (let round = 0; round < 3; round++) {
      const before = sent;
      await until("some was taken", () => sent > before);
      await relay.drain();
      relay = await startTestRelay({ stateDirectory, port });
    }
    stopped = true;
    await load;
    // As many numbers as messages, and the last of them are in order: none was lost or doubled.
    const { seq } = await hello({ port });
    expect(seq).toBe(sent);
    const since = { epoch, seq: sent - 300 };
    const late = await Client.connect({ port }, { subscribe: [{ channel: "public", since }] });
    onTestFinished(() => late.terminate());
    expect((await late.nextN(2))[1]).toMatchObject({ recovered: true, epoch });
    expect(await payloads(late, 300)).toEqual(numbers(300, sent - 299));
    expect(ways[0]).toBe("socket");
  });
});

/** What a new subscriber of the public channel is told. */
async function hello(target: { port: number }) {
  const client = await Client.connect(target, { subscribe: [{ channel: "public" }] });
  const [, subscribed] = await client.nextN(2);
  client.terminate();
  return subscribed as unknown as { epoch: string; seq: number };
}

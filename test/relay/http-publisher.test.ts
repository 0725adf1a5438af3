import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import {
  HttpPublisher,
  type HttpPublisherOptions,
} from "../../relay/remote-publisher/http-publisher.ts";
import { API_KEY, Client, message, startTestRelay, testConfig, token } from "./support.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(overrides: object = {}): Promise<Relay> {
  const relay = await startTestRelay(overrides);
  cleanups.push(() => relay.close());
  return relay;
}

function publisherFor(target: { port: number }, options: Partial<HttpPublisherOptions> = {}) {
  const publisher = new HttpPublisher({
    url: `http://127.0.0.1:${target.port}`,
    apiKey: API_KEY,
    timeoutMs: 5000,
    ...options,
  });
  cleanups.push(() => publisher.close());
  return publisher;
}

/** A server that answers as it is told, and counts. */
async function fake(
  listener: RequestListener,
): Promise<Server & { port: number; sockets: number }> {
  const server = Object.assign(createServer(listener), { port: 0, sockets: 0 });
  server.on("connection", () => server.sockets++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.port = (server.address() as AddressInfo).port;
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

const json =
  (status: number, body: unknown): RequestListener =>
  (request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(status).end(JSON.stringify(body)));
  };

describe("HttpPublisher", () => {
  it("carries payloads byte for byte, ids, times and names", async () => {
    const relay = await start();
    const client = await Client.connect(relay, {
      token: await token(["*"]),
      subscribe: [{ channel: 'q"é' }],
    });
    await client.nextN(2);
    const sent = message('q"é', 0, {
      payload: '{"n": 9007199254740993,"d":1.10}',
      eventName: "\\e",
    });
    expect(await publisherFor(relay).publish([sent])).toEqual([
      { status: "accepted", recipients: 1 },
    ]);
    expect(await client.nextText()).toBe(
      `{"channel":"q\\"é","eventName":"\\\\e","payload":{"n": 9007199254740993,"d":1.10},"id":"${sent.id}","seq":1,"ts":${sent.ts}}`,
    );
  });

  it("gives one result per message, in order, across split bodies", async () => {
    const relay = await start();
    const publisher = publisherFor(relay, { batchMessages: 7, batchBytes: 4000 });
    const batch = Array.from({ length: 100 }, (_, n) =>
      message(n % 10 === 3 ? "bad*" : "a", "x".repeat(n * 10), n === 50 ? { id: "same" } : {}),
    );
    const again = message("a", 1, { id: "same" });
    const results = await publisher.publish([...batch, again]);
    expect(results.map(({ status }) => status)).toEqual([
      ...batch.map((_, n) => (n % 10 === 3 ? "rejected" : "accepted")),
      "accepted",
    ]);
    expect(results[3]).toMatchObject({ code: "bad_channel" });
    expect(results.at(-1)).toMatchObject({ duplicate: true });
    expect(await publisher.publish([])).toEqual([]);
  });

  it("finds the message that is too large, and delivers the others in order", async () => {
    const relay = await start({
      limits: { messageBytes: "8KiB", batchBytes: "16KiB" },
      slowClients: { connectionBytes: "4MiB" },
    });
    const client = await Client.connect(relay, {
      token: await token(["a"]),
      subscribe: [{ channel: "a" }],
    });
    await client.nextN(2);
    // The publisher believes in larger bodies than the relay allows.
    const publisher = publisherFor(relay, { batchBytes: 1_000_000 });
    const sizes = [10, 9000, 20, 30_000, 5000, 5000, 5000, 40];
    const results = await publisher.publish(sizes.map((size) => message("a", "x".repeat(size))));
    expect(
      results.map((result) => (result.status === "rejected" ? result.code : result.status)),
    ).toEqual([
      "accepted",
      "message_too_large",
      "accepted",
      "message_too_large",
      "accepted",
      "accepted",
      "accepted",
      "accepted",
    ]);
    const lengths = (await client.nextN(6)).map(({ payload }) => (payload as string).length);
    expect(lengths).toEqual([10, 20, 5000, 5000, 5000, 40]);
  });

  it("splits what a proxy finds too large, and holds what cannot be split", async () => {
    const server = await fake((request, response) => {
      const length = Number(request.headers["content-length"]);
      if (length > 3000) {
        request.resume().on("end", () => response.writeHead(413).end("<html>too large</html>"));
        return;
      }
      const chunks: Buffer[] = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        const list = JSON.parse(Buffer.concat(chunks).toString()) as { id: string }[];
        response.end(
          JSON.stringify({
            ok: true,
            results: list.map(({ id }) => ({ ok: true, id, recipients: 0 })),
          }),
        );
      });
    });
    const results = await publisherFor(server).publish(
      [1000, 1000, 1000, 4000, 10].map((size) => message("a", "x".repeat(size))),
    );
    expect(results.map(({ status }) => status)).toEqual([
      "accepted",
      "accepted",
      "accepted",
      "unavailable",
      "unavailable",
    ]);
  });

  it("reuses its connection", async () => {
    const server = await fake(
      json(200, { ok: true, results: [{ ok: true, id: "a", recipients: 0 }] }),
    );
    const publisher = publisherFor(server);
    for (let count = 0; count < 5; count++) {
      const [result] = await publisher.publish([message("a", count, { id: "a" })]);
      expect(result).toEqual({ status: "accepted", recipients: 0 });
    }
    expect(server.sockets).toBe(1);
  });

  it.each([
    [
      "a relay that is stopping",
      json(503, { ok: false, code: "unavailable", message: "stopping" }),
    ],
    ["a wrong key", json(401, { ok: false, code: "unauthorized", message: "no" })],
    ["a defect", json(500, { ok: false, code: "internal_error", message: "see the log" })],
    [
      "a proxy's error page",
      ((_request, response) => response.writeHead(502).end("<html>")) as RequestListener,
    ],
    [
      "a redirect",
      ((_request, response) =>
        response.writeHead(302, { location: "/x" }).end()) as RequestListener,
    ],
    ["something that is no relay", json(200, { hello: "world" })],
    ["too few results", json(200, { ok: true, results: [] })],
    ["a cut connection", ((request) => request.socket.destroy()) as RequestListener],
    [
      "an endless answer",
      ((_request, response) => {
        const timer = setInterval(() => response.write("x".repeat(100_000)), 1);
        response.on("close", () => clearInterval(timer));
      }) as RequestListener,
    ],
  ])("says unavailable for %s, so that nothing is set aside", async (_what, listener) => {
    const server = await fake(listener);
    const results = await publisherFor(server).publish([message("a", 1), message("a", 2)]);
    expect(results.map(({ status }) => status)).toEqual(["unavailable", "unavailable"]);
  });

  it("posts for how long a message is to be kept, and nothing where it is not", async () => {
    let body = "";
    const server = await fake((request, response) => {
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const results = (JSON.parse(body) as { id: string }[]).map(({ id }) => ({
          ok: true,
          id,
          recipients: 0,
        }));
        response.end(JSON.stringify({ ok: true, results }));
      });
    });
    const results = await publisherFor(server).publish([
      message("c", 1, { id: "1", retain: 60 }),
      message("c", 2, { id: "2" }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["accepted", "accepted"]);
    const posted = JSON.parse(body) as object[];
    expect(posted[0]).toMatchObject({ id: "1", retain: 60 });
    expect(posted[1]).not.toHaveProperty("retain");
  });

  it("says unavailable when nobody listens, and when time is up", async () => {
    const relay = await start();
    const { port } = relay;
    await relay.close();
    expect(await publisherFor({ port }).publish([message("a", 1)])).toMatchObject([
      { status: "unavailable" },
    ]);
    const silent = await fake(() => {});
    const [late] = await publisherFor(silent, { timeoutMs: 100 }).publish([message("a", 1)]);
    expect(late).toMatchObject({
      status: "unavailable",
      message: expect.stringContaining("100 ms"),
    });
  });

  it("does not go on after a failure: what comes later must not overtake", async () => {
    let count = 0;
    const server = await fake((request, response) => {
      const status = ++count === 2 ? 503 : 200;
      const body =
        status === 200
          ? { ok: true, results: [{ ok: true, id: "1", recipients: 1 }] }
          : { ok: false, code: "unavailable", message: "no" };
      json(status, body)(request, response);
    });
    const results = await publisherFor(server, { batchMessages: 1 }).publish(
      [1, 2, 3].map((n) => message("a", n, { id: String(n) })),
    );
    expect(results.map(({ status }) => status)).toEqual(["accepted", "unavailable", "unavailable"]);
    expect(count).toBe(2);
  });

  it("passes an entry that is unavailable in the middle of an answer", async () => {
    const server = await fake(
      json(200, {
        ok: false,
        results: [
          { ok: true, id: "1", recipients: 2 },
          { ok: false, code: "unavailable", message: "stopping" },
          { ok: false, code: "bad_channel", message: "no" },
        ],
      }),
    );
    const results = await publisherFor(server).publish(
      [1, 2, 3].map((n) => message("a", n, { id: String(n) })),
    );
    expect(results.map(({ status }) => status)).toEqual(["accepted", "unavailable", "rejected"]);
  });

  it("holds control items where an older relay took them for messages", async () => {
    const server = await fake(
      json(200, {
        ok: false,
        results: [
          { ok: true },
          { ok: false, code: "bad_control", message: "no" },
          { ok: true, id: "made-there", recipients: 3 },
          { ok: false, code: "bad_channel", message: "channel is required" },
        ],
      }),
    );
    const results = await publisherFor(server).control([
      { op: "disconnect", user: "SCOTT" },
      { op: "disconnect", user: "SCOTT" },
      { op: "unsubscribe", user: "SCOTT", channel: "a" },
      { op: "revoke", user: "SCOTT" },
    ]);
    const held = { status: "unavailable", message: expect.stringContaining("update it before") };
    expect(results).toMatchObject([{ status: "accepted" }, { status: "rejected" }, held, held]);
  });

  it("says unavailable with the fix for a key that is not trusted; nothing is published", async () => {
    const keys = (trusted: boolean) => ({ apiKeys: [{ name: "worker", key: API_KEY, trusted }] });
    const relay = await start(keys(false));
    const client = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
    await client.nextN(2);
    const publisher = publisherFor(relay);
    const batch = [message("public", 1), message("public", 2)];
    for (const result of await publisher.publish(batch)) {
      expect(result).toMatchObject({ status: "unavailable", code: "key_not_trusted" });
      expect((result as { message: string }).message).toContain(
        "the relay's key for this worker must be marked trusted",
      );
    }
    relay.reload(testConfig(keys(true)));
    expect((await publisher.publish(batch)).map(({ status }) => status)).toEqual([
      "accepted",
      "accepted",
    ]);
    // The first one it ever got: the refused batch was not sent to anybody.
    expect(await client.next()).toMatchObject({ id: batch[0]!.id, seq: 1, payload: 1 });
  });

  it("says so too when the header is lost on the way and the relay made its own ids", async () => {
    const server = await fake(
      json(200, { ok: true, results: [{ ok: true, id: "another", recipients: 1 }] }),
    );
    const [result] = await publisherFor(server).publish([message("a", 1)]);
    expect(result).toMatchObject({
      status: "unavailable",
      code: "key_not_trusted",
      message: expect.stringContaining("must be marked trusted"),
    });
  });

  it("holds what the key does not grant, with the fix, and delivers the other channels", async () => {
    const keys = (channels: string[]) => ({
      apiKeys: [{ name: "worker", key: API_KEY, trusted: true, channels }],
    });
    const relay = await start(keys(["a"]));
    const publisher = publisherFor(relay);
    const batch = [message("a", 1), message("b", 2), message("a", 3)];
    const results = await publisher.publish(batch);
    expect(results).toMatchObject([
      { status: "accepted" },
      {
        status: "unavailable",
        code: "channel_forbidden",
        message: expect.stringContaining("must grant the channel"),
      },
      { status: "accepted" },
    ]);
    relay.reload(testConfig(keys(["a", "b"])));
    expect(await publisher.publish([batch[1]!])).toEqual([{ status: "accepted", recipients: 0 }]);
  });

  it("sends nothing after a body of which something is held", async () => {
    let posts = 0;
    const server = await fake((request, response) => {
      posts++;
      const refused = { ok: false, code: "channel_forbidden", message: "no" };
      json(200, { ok: false, results: [refused] })(request, response);
    });
    const publisher = publisherFor(server, { batchMessages: 1 });
    const results = await publisher.publish([message("a", 1), message("a", 2)]);
    expect(results.map(({ status }) => status)).toEqual(["unavailable", "unavailable"]);
    expect(posts).toBe(1);
  });

  it("takes another key between two POSTs", async () => {
    const relay = await start();
    const publisher = publisherFor(relay, { apiKey: "an old key 0123456789" });
    expect(await publisher.publish([message("a", 1)])).toMatchObject([
      { status: "unavailable", code: "unauthorized" },
    ]);
    publisher.useKey(API_KEY);
    expect(await publisher.publish([message("a", 1)])).toMatchObject([{ status: "accepted" }]);
  });

  it("wants an http or https URL", () => {
    expect(() => new HttpPublisher({ url: "ftp://x", apiKey: "k" })).toThrow(/http/);
    expect(() => new HttpPublisher({ url: "nonsense", apiKey: "k" })).toThrow();
  });
});

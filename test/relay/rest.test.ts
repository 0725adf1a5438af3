/** What the protocol kit cannot ask of any relay: its own limits, and requests that break off. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../common/logger.ts";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, post, startTestRelay, until } from "./support.ts";

let relay: Relay;

beforeEach(async () => {
  relay = await startTestRelay({
    limits: { messageBytes: "4KiB", batchBytes: "64KiB", batchMessages: 20 },
  });
});
afterEach(() => relay.close());

const messages = (count: number, bytes = 1) =>
  Array.from({ length: count }, (_, n) => ({ channel: "public", payload: `${n}`.padEnd(bytes) }));

describe("limits of one body", () => {
  it("refuse too many messages, and publish none of them", async () => {
    const client = await Client.open(relay, "/ws?channel=public");
    const refused = await post(relay, messages(21));
    expect(refused).toMatchObject({ status: 413, body: { ok: false, code: "batch_too_large" } });
    expect((await post(relay, messages(20))).body).toMatchObject({ ok: true });
    expect((await client.nextN(20)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
  });

  it.each(["with its length", "in chunks"])("refuse too many bytes, sent %s", async (how) => {
    const text = JSON.stringify(messages(20, 4000));
    const body =
      how === "in chunks"
        ? new ReadableStream({
            start(controller) {
              controller.enqueue(Buffer.from(text));
              controller.close();
            },
          })
        : text;
    const response = await fetch(`http://127.0.0.1:${relay.port}/api/broadcast`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": API_KEY },
      body,
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "batch_too_large" });
    expect((await post(relay, messages(1))).status).toBe(200);
  });

  it("take an empty list", async () => {
    expect((await post(relay, [])).body).toEqual({ ok: true, results: [] });
  });
});

describe("a request", () => {
  it.each(["/api/broadcast", "/api/broadcast/", "/API/broadcast", "/api/broadcast?from=here"])(
    "to %s is answered by the same rules",
    async (path) => {
      const client = await Client.open(relay, "/ws?channel=public");
      const send = (key: string, method = "POST") =>
        fetch(`http://127.0.0.1:${relay.port}${path}`, {
          method,
          headers: { "content-type": "application/json", "x-api-key": key },
          ...(method === "POST" && { body: JSON.stringify(messages(1)) }),
        });
      expect((await send("wrong")).status).toBe(401);
      expect((await send(API_KEY, "GET")).status).toBe(404);
      expect((await send(API_KEY)).status).toBe(200);
      expect(await client.next()).toMatchObject({ seq: 1 });
    },
  );

  it("with a compressed body is refused", async () => {
    const answer = await post(relay, messages(1), { "content-encoding": "gzip" });
    expect(answer).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
  });

  it("that breaks off publishes nothing, and is no defect", async () => {
    const lines: string[] = [];
    await relay.close();
    const log = createLogger("info", { write: (line) => lines.push(line) });
    relay = await startTestRelay({}, { log });
    const socket = connect(relay.port, "127.0.0.1");
    await once(socket, "connect");
    socket.write(
      `POST /api/broadcast HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${API_KEY}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"channel":"public"}',
    );
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    await once(socket, "close");
    await until("the relay to go on", async () => (await post(relay, messages(1))).status === 200);
    expect((await post(relay, messages(1))).body).toMatchObject({ ok: true });
    expect(await relay.registry.metrics()).toContain("rtm_relay_messages_accepted_total 2");
    expect(lines.join("")).not.toContain("failed");
  });

  it("without a key is refused before its body is read", async () => {
    const socket = connect(relay.port, "127.0.0.1");
    socket.write(
      "POST /api/broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
        "Content-Length: 100000000\r\n\r\n",
    );
    const [data] = (await once(socket, "data")) as [Buffer];
    expect(data.toString()).toMatch(/^HTTP\/1\.1 401 [\s\S]*"unauthorized"/);
    await once(socket, "close");
  });
});

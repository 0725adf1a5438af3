/** Start, readiness, reload, standby, drain, stop. */

import { once } from "node:events";
import { connect } from "node:net";
import express from "express";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLogger } from "../../common/logger.ts";
import { Hub } from "../../relay/channels/hub.ts";
import type { ReadinessReason } from "../../relay/node/serving.ts";
import type { Relay } from "../../relay/relay.ts";
import {
  API_KEY,
  Client,
  message,
  post,
  SECRET,
  SOURCE,
  startTestRelay,
  testConfig,
  token,
  until,
} from "./support.ts";

let relay: Relay;
afterEach(() => relay.close());

async function readyz(
  port: number | undefined,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("readiness", () => {
  it("is short in public, and names reasons of all rooms as codes", async () => {
    const others: ReadinessReason[] = [];
    relay = await startTestRelay({}, { readiness: [() => others] });
    expect(await readyz(relay.port)).toEqual({ status: 200, body: { ready: true } });
    const queueDown = { code: "queue_down", message: "no session", blocking: true };
    others.push(queueDown);
    expect(await readyz(relay.port)).toEqual({ status: 503, body: { ready: false } });
    expect(relay.readiness()).toEqual([queueDown]);
    // What keeps another room from being ready does not keep messages out.
    expect((await post(relay, { channel: "a" })).status).toBe(200);
  });

  it("shows insecure as a warning, and the log says so each minute", async () => {
    const lines: string[] = [];
    const log = createLogger("warn", { write: (line) => lines.push(line) });
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    relay = await startTestRelay({ insecure: true }, { log });
    expect(relay.readiness()).toMatchObject([{ code: "insecure", blocking: false }]);
    const warnings = () => lines.filter((line) => line.includes("insecure: true")).length;
    expect(warnings()).toBe(1);
    vi.advanceTimersByTime(120_000);
    expect(warnings()).toBe(3);
  });

  it("answers a defect of its own with internal_error, logs it, and goes on", async () => {
    const lines: string[] = [];
    const log = createLogger("error", { write: (line) => lines.push(line) });
    relay = await startTestRelay({}, { log });
    const defect = vi.spyOn(Hub.prototype, "apply").mockImplementationOnce(() => {
      throw new TypeError("a defect");
    });
    onTestFinished(() => defect.mockRestore());
    expect(await post(relay, { channel: "a" })).toMatchObject({
      status: 500,
      body: { ok: false, code: "internal_error" },
    });
    expect(lines.join("")).toContain("a defect");
    expect((await post(relay, { channel: "a" })).status).toBe(200);
  });

  it("keeps metrics and details off the public listener", async () => {
    relay = await startTestRelay();
    const response = await fetch(`http://127.0.0.1:${relay.port}/metrics`);
    expect(response.status).toBe(404);
  });
});

describe("start", () => {
  it("says which key a taken port comes from", async () => {
    relay = await startTestRelay();
    await expect(startTestRelay({ port: relay.port })).rejects.toMatchObject({
      code: "RTM_LISTEN",
      message: expect.stringContaining("relay.port"),
    });
  });

  it("serves static paths and routes of other rooms", async () => {
    relay = await startTestRelay(
      {},
      {
        staticPaths: { "/common": new URL("../../common", import.meta.url).pathname },
        extend: (app) =>
          app.get("/extra", express.text(), (_request, response) => void response.send("hi")),
      },
    );
    const get = async (path: string) =>
      (await fetch(`http://127.0.0.1:${relay.port}${path}`)).text();
    expect(await get("/common/errors.ts")).toContain("class RtmError");
    expect(await get("/extra")).toBe("hi");
    expect(await get("/nothing")).toBe("not found");
  });

  it("in insecure mode lets everybody in, with or without tokens and keys", async () => {
    relay = await startTestRelay({ insecure: true, publicChannels: [] });
    const client = await Client.connect(relay, {
      token: "whatever",
      subscribe: [{ channel: "a" }],
    });
    expect(await client.next()).toMatchObject({ op: "connected", expiresInMs: null });
    expect(await client.next()).toMatchObject({ op: "subscribed" });
    client.send({ op: "refresh", token: "whatever" });
    expect(await client.next()).toMatchObject({ op: "refreshed", expiresInMs: 900_000 });
    const page = await Client.open(relay, "/ws?channel=a&token=x", {
      headers: { origin: "https://any.example" },
    });
    await post(relay, { channel: "a", payload: 1, id: "mine" }, { "x-api-key": "unknown" });
    const frame = await client.next();
    expect(frame).toMatchObject({ payload: 1 });
    expect(frame.id).not.toBe("mine");
    expect(await page.next()).toMatchObject({ payload: 1 });
  });
});

describe("reload", () => {
  it("takes new secrets and keys, drops old ones, and keeps clients", async () => {
    relay = await startTestRelay();
    const client = await Client.connect(relay, {
      token: await token(["a"]),
      subscribe: [{ channel: "a" }],
    });
    await client.nextN(2);
    const next = {
      tokens: { secrets: [{ kid: "k2", secret: `new-${SECRET}` }] },
      apiKeys: [{ name: "other", key: "other-key-0123456789" }],
    };
    relay.reload(testConfig(next));
    expect((await post(relay, { channel: "a" })).status).toBe(401);
    const headers = { "x-api-key": "other-key-0123456789" };
    expect((await post(relay, { channel: "a", payload: 5 }, headers)).status).toBe(200);
    expect(await client.next()).toMatchObject({ payload: 5 });
    const old = await Client.connect(relay, { token: await token(["a"]) });
    expect((await old.end()).code).toBe(4101);
    const fresh = await Client.connect(relay, {
      token: await token(["a"], { kid: "k2", secret: `new-${SECRET}` }),
    });
    expect(await fresh.next()).toMatchObject({ op: "connected" });
  });

  it("keeps the old keys when a new one cannot be read, and when there is none", async () => {
    relay = await startTestRelay();
    const broken = testConfig({ apiKeys: [{ name: "x", keyFile: "/nonexistent/key" }] });
    expect(() => relay.reload(broken)).toThrow("/nonexistent/key");
    const none = testConfig({ insecure: true, tokens: {}, apiKeys: [] });
    expect(() => relay.reload(none)).toThrow("no keys are configured");
    expect((await post(relay, { channel: "a" })).status).toBe(200);
  });
});

describe("standby", () => {
  it("closes clients with 4005, takes no messages, and is not ready until it serves", async () => {
    relay = await startTestRelay({}, { serving: false });
    expect(relay.readiness()).toMatchObject([{ code: "starting" }]);
    relay.setServing(true);
    const client = await Client.open(relay, "/ws?channel=public");
    relay.setServing(false, { detail: "node b holds the lease" });
    expect((await client.end()).code).toBe(4005);
    expect(relay.readiness()).toMatchObject([
      { code: "standby", message: "node b holds the lease" },
    ]);
    const refused = await Client.open(relay, "/ws?channel=public");
    expect((await refused.end()).code).toBe(4005);
    const answer = await post(relay, { channel: "a" });
    expect(answer).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(answer.headers.get("retry-after")).toBe("2");
    relay.setServing(true);
    expect((await post(relay, { channel: "a" })).status).toBe(200);
  });
});

describe("drain", () => {
  it("closes clients with 4000 over the window, takes nothing more, and ends by itself", async () => {
    relay = await startTestRelay({ drain: { window: "400ms", grace: "2s" } });
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => Client.open(relay, "/ws?channel=public")),
    );
    const closedAt: number[] = [];
    for (const client of clients) client.ws.on("close", () => closedAt.push(performance.now()));
    await relay.publisher.publish([message("public", "last")], SOURCE);
    const draining = relay.drain();
    expect(await relay.publisher.publish([message("public", "late")], SOURCE)).toMatchObject([
      { status: "unavailable" },
    ]);
    for (const client of clients) {
      expect(await client.next()).toMatchObject({ payload: "last" });
      expect((await client.end()).code).toBe(4000);
    }
    await draining;
    // Spread: not all at once. 100 clients at 200 per second are 500 ms, bounded by the window.
    expect(Math.max(...closedAt) - Math.min(...closedAt)).toBeGreaterThan(150);
    await expect(fetch(`http://127.0.0.1:${relay.port}/healthz`)).rejects.toThrow();
  });

  it("is forced by close: clients that do not answer do not hold it up", async () => {
    relay = await startTestRelay({ drain: { window: "10m", grace: "60s" } });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => Client.open(relay, "/ws?channel=public")),
    );
    for (const client of clients) client.stopReading();
    const draining = relay.drain();
    await relay.close();
    await draining;
    for (const client of clients) client.terminate();
  });
});

describe("half-open handshakes", () => {
  it("are ended by the connect deadline, whatever they sent", async () => {
    relay = await startTestRelay({ connectDeadline: "300ms" });
    const starts = [
      "",
      "GET /ws HTTP/1.1\r\n",
      "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
      "POST /api/broadcast HTTP/1.1\r\nHost: x\r\nX-Half",
    ];
    const sockets = starts.map((text) => {
      const socket = connect(relay.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(text);
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, "close")));
    expect((await readyz(relay.port)).status).toBe(200);
  });

  it.each([
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "GET //[ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short\r\nSec-WebSocket-Version: 99\r\n\r\n",
    "\u0000\u0001\u0002\r\n\r\n",
  ])("and broken ones are refused: %j", async (text) => {
    relay = await startTestRelay();
    const socket = connect(relay.port, "127.0.0.1");
    socket.on("error", () => {});
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.write(text);
    await once(socket, "close");
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 40[04] /);
    expect((await readyz(relay.port)).status).toBe(200);
  });
});

describe("the connection limit", () => {
  it("closes what is above it with 4004", async () => {
    relay = await startTestRelay({ limits: { connections: 2 } });
    const first = await Client.open(relay, "/ws?channel=public");
    await Client.open(relay, "/ws?channel=public");
    const third = await Client.open(relay, "/ws?channel=public");
    expect((await third.end()).code).toBe(4004);
    await first.close();
    await until("the place to be free", async () => {
      const client = await Client.open(relay, "/ws?channel=public");
      await Promise.race([client.end(), new Promise((resolve) => setTimeout(resolve, 50))]);
      return client.closed === undefined;
    });
  });
});

describe("the limit of a person's connections", () => {
  const self = (user: string) => ({ subject: user, claims: { self: `user:${user}` } });
  const open = async (options: object) =>
    Client.connect(relay, { token: await token(["a"], options) });

  it("closes the newcomer with 4004, nobody else, and frees the place with the connection", async () => {
    relay = await startTestRelay({ limits: { connectionsPerSubject: 2 } });
    const first = await open(self("SCOTT"));
    const second = await open(self("SCOTT"));
    expect((await (await open(self("SCOTT"))).end()).code).toBe(4004);
    const king = await open(self("KING"));
    for (const client of [first, second, king]) {
      expect(await client.next()).toMatchObject({ op: "connected" });
    }
    await first.close();
    await until("the place to be free", async () => {
      const client = await open(self("SCOTT"));
      return (
        (await Promise.race([client.next(), client.end()]).catch(() => ({}))) !== undefined &&
        client.closed === undefined
      );
    });
  });

  it("counts whoever brings the token later, and that connection goes on without it", async () => {
    relay = await startTestRelay({ limits: { connectionsPerSubject: 1 } });
    const later = await Client.connect(relay, {});
    expect(await later.next()).toMatchObject({ op: "connected" });
    const only = await open(self("SCOTT"));
    expect(await only.next()).toMatchObject({ op: "connected" });
    later.send({ op: "refresh", token: await token(["a"], self("SCOTT")) });
    expect(await later.next()).toMatchObject({ op: "error", code: "too_many_connections" });
    later.send({ op: "subscribe", subscribe: [{ channel: "a" }, { channel: "public" }] });
    expect(await later.nextN(2)).toMatchObject([
      { op: "error", code: "channel_forbidden" },
      { op: "subscribed", channel: "public" },
    ]);
  });

  it("does not count tokens that may stand for many people, such as visitors without a login", async () => {
    relay = await startTestRelay({ limits: { connectionsPerSubject: 1 } });
    for (let n = 0; n < 3; n++) {
      const client = await open({ subject: "nobody" });
      expect(await client.next()).toMatchObject({ op: "connected" });
    }
  });
});

describe("the firehose", () => {
  it("gets every public channel and no other, only when it is switched on", async () => {
    relay = await startTestRelay({ compat: { firehose: true } });
    const client = await Client.open(relay, "/");
    await post(relay, [
      { channel: "public-a", payload: 1 },
      { channel: "private", payload: 2 },
      { channel: "public-b", payload: 3 },
    ]);
    expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 3]);
    await relay.close();
    relay = await startTestRelay();
    const refused = await Client.open(relay, "/");
    expect((await refused.end()).code).toBe(4204);
  });
});

describe("secrets", () => {
  it("never reach the log, whatever is refused", async () => {
    const lines: string[] = [];
    const log = createLogger("trace", { write: (line) => lines.push(line) });
    relay = await startTestRelay({ origins: ["https://a.example"] }, { log });
    const rights = await token(["a"]);
    const plain = await Client.open(relay, `/ws?channel=b&token=${rights}`);
    await plain.end();
    const bad = await Client.open(relay, "/ws?channel=b&token=super-secret-token");
    await bad.end();
    await Client.connect(relay, { token: "super-secret-token" }).then((client) => client.end());
    await post(relay, { channel: "a", payload: "super-secret-payload" });
    await post(relay, { channel: "a" }, { "x-api-key": "super-secret-key" });
    await fetch(`http://127.0.0.1:${relay.port}/nothing?token=super-secret-token`);
    relay.reload(testConfig());
    await relay.close();
    const all = lines.join("");
    for (const secret of ["super-secret", rights, SECRET, API_KEY])
      expect(all).not.toContain(secret);
    expect(lines.length).toBeGreaterThan(3);
  });
});

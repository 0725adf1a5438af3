/** The vhost in nginx/, run by a real nginx in front of a real relay. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { createLogger } from "../../common/logger.ts";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, SOURCE, startTestRelay, token, until } from "../relay/support.ts";
import { freePort } from "../support/free-port.ts";
import { has, temporaryDirectory } from "../support/programs.ts";
import { runNginx } from "./nginx.ts";

const ORIGIN = "https://apex.example.com";
const NEEDED = ["nginx", "openssl"];
const missing = NEEDED.filter((program) => !has(program));

interface Front {
  readonly port: number;
  readonly plainPort: number;
  /** Everything nginx has logged. */
  logs(): string;
}

/**
 * The files of nginx/ with other paths and ports, and the ORDS locations inside the same server.
 * Nothing else is changed, so what passes here is what an administrator copies. Of several nodes none is
 * left alone after a failure.
 */
async function startNginx(...nodes: number[]): Promise<Front> {
  const directory = temporaryDirectory();
  const [port, plainPort] = [await freePort(), await freePort()];
  const certificate = join(directory, "cert.pem");
  const key = join(directory, "key.pem");
  const subject = ["-subj", "/CN=rtm.example.com", "-days", "2", "-nodes"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  spawnSync("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", certificate]);
  const servers = nodes.map((node) => `server 127.0.0.1:${node} max_fails=0;`);
  const edit = (text: string) =>
    text
      .replace("server 127.0.0.1:0;", servers.join(" "))
      .replace(/\/etc\/letsencrypt\/\S+fullchain\.pem/, certificate)
      .replace(/\/etc\/letsencrypt\/\S+privkey\.pem/, key)
      .replace("listen 80;", `listen 127.0.0.1:${plainPort};`)
      .replace(
        "listen 443 ssl http2;",
        `listen 127.0.0.1:${port} ssl http2;\n include ${directory}/conf/rtm-ords.inc;`,
      );
  runNginx({ directory, relayPort: nodes.length === 1 ? nodes[0]! : 0, edit });
  const front = {
    port,
    plainPort,
    logs: () =>
      ["rtm-access.log", "rtm-error.log", "main.log"]
        .map((name) => join(directory, "logs", name))
        .map((path) => (existsSync(path) ? readFileSync(path, "utf8") : ""))
        .join(""),
  };
  await until("nginx listens", async () => (await get(front, "/client/").catch(() => 0)) !== 0);
  return front;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function send(front: Front, path: string, options: object = {}, body = ""): Promise<Answer> {
  const call = request({
    host: "127.0.0.1",
    port: front.port,
    path,
    rejectUnauthorized: false,
    ...options,
  });
  call.end(body);
  const [response] = await once(call, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: text };
}

const get = async (front: Front, path: string) => (await send(front, path)).status;

async function openThrough(front: Front, path: string, protocol?: string): Promise<Client> {
  const ws = new WebSocket(`wss://127.0.0.1:${front.port}${path}`, protocol ? [protocol] : [], {
    rejectUnauthorized: false,
    headers: { origin: ORIGIN, "x-forwarded-for": "203.0.113.99" },
  });
  const client = new Client(ws);
  await once(ws, "open");
  onTestFinished(() => client.terminate());
  return client;
}

async function startBoth(overrides: object = {}): Promise<{
  relay: Relay;
  front: Front;
  relayLog: () => string;
}> {
  let text = "";
  const write = (line: string) => {
    text += line;
  };
  const log = createLogger("debug", { write });
  const relay = await startTestRelay(
    {
      origins: [ORIGIN],
      trustedProxies: ["127.0.0.1"],
      publicChannels: ["dashboard"],
      ...overrides,
    },
    { log },
  );
  onTestFinished(() => relay.close());
  return { relay, front: await startNginx(relay.port), relayLog: () => text };
}

const why = missing.length === 0 ? "" : ` (skipped: no ${missing.join(", no ")})`;

describe.skipIf(missing.length > 0)(`nginx in front of the relay${why}`, () => {
  it("passes rtm.v1 over TLS, both ways", async () => {
    const { relay, front } = await startBoth();
    const client = await openThrough(front, "/ws", "rtm.v1");
    client.send({
      op: "connect",
      token: await token(["sales"]),
      subscribe: [{ channel: "sales" }],
    });
    expect(await client.next()).toMatchObject({ op: "connected" });
    expect(await client.next()).toMatchObject({ op: "subscribed" });
    const large = "x".repeat(500_000);
    await relay.publisher.publish([message("sales", { n: 1 }), message("sales", large)], SOURCE);
    expect(await client.next()).toMatchObject({ channel: "sales", payload: { n: 1 } });
    expect((await client.next()).payload).toBe(large);
    // The relay's close code reaches the page.
    relay.setServing(false);
    expect(await client.end()).toMatchObject({ code: 4005 });
  });

  it("passes streams on at once, and polls", async () => {
    const { relay, front } = await startBoth();
    const body = JSON.stringify({ op: "connect", subscribe: [{ channel: "dashboard" }] });
    const headers = { "content-type": "text/plain", origin: ORIGIN };
    for (const path of ["/stream", "/rtm/stream", "/sse?channel=dashboard"]) {
      const method = path.startsWith("/sse") ? "GET" : "POST";
      const call = request({
        host: "127.0.0.1",
        port: front.port,
        path,
        method,
        headers: method === "GET" ? { origin: ORIGIN } : headers,
        rejectUnauthorized: false,
      });
      call.end(method === "GET" ? undefined : body);
      const [response] = await once(call, "response");
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", () => {});
      onTestFinished(() => response.destroy());
      await until("subscribed", () => text.includes('"op":"subscribed"'));
      await relay.publisher.publish([message("dashboard", path)], SOURCE);
      await until("the message", () => text.includes(JSON.stringify(path)));
    }
    const polled = await send(front, "/poll", { method: "POST", headers }, body);
    expect(JSON.parse(polled.body).frames[1]).toMatchObject({ op: "subscribed", seq: 3 });
  });

  it("gives pages below /ords/ the bare payloads of the dashboard", async () => {
    const { relay, front } = await startBoth();
    const client = await openThrough(front, "/ords/r/shop/42/dashboard/live?channel=secret");
    await until("subscribed", () =>
      relay.registry.metrics().then((text) => /^rtm_\w*connections\w* 1$/m.test(text)),
    );
    await relay.publisher.publish(
      [message("secret", 1), message("dashboard", { total: 7 })],
      SOURCE,
    );
    expect(await client.nextText()).toBe('{"total":7}');
    const second = await openThrough(front, "/rtm/ws", "rtm.v1");
    second.send({ op: "connect", subscribe: [{ channel: "dashboard" }] });
    expect(await second.next()).toMatchObject({ op: "connected" });
  });

  it("takes POSTs up to the relay's own limit", async () => {
    const { front } = await startBoth();
    const headers = { "content-type": "application/json", "x-api-key": "test-key-0123456789" };
    const post = (payload: string) =>
      send(
        front,
        "/api/broadcast",
        { method: "POST", headers },
        JSON.stringify([{ channel: "sales", payload }]),
      );
    expect(await post("x".repeat(1_000_000))).toMatchObject({ status: 200 });
    const tooLarge = JSON.parse((await post("x".repeat(2_000_000))).body);
    expect(tooLarge).toMatchObject({ results: [{ code: "message_too_large" }] });
  });

  it("tells the relay the real address of a client, whatever the client claims", async () => {
    const { front, relayLog } = await startBoth({ origins: ["https://other.example.com"] });
    const client = await openThrough(front, "/ws", "rtm.v1");
    expect(await client.end()).toMatchObject({ code: 4202 });
    expect(relayLog()).toContain('"address":"127.0.0.1"');
    expect(relayLog()).not.toContain("203.0.113.99");
  });

  it.each([
    ["answers 503", (response: ServerResponse) => response.writeHead(503).end()],
    ["dies with it", (response: ServerResponse) => response.socket?.destroy()],
  ])(
    "gives a POST of messages to one node, whatever becomes of it there: it %s",
    async (_, end) => {
      const posted: string[] = [];
      const nodes = await Promise.all(
        [1, 2].map(async () => {
          const node = createServer((incoming, response) => {
            if (incoming.method === "POST") posted.push(incoming.url as string);
            incoming.resume().on("end", () => end(response));
          }).listen(0, "127.0.0.1");
          onTestFinished(() => void node.close());
          await once(node, "listening");
          return (node.address() as AddressInfo).port;
        }),
      );
      const front = await startNginx(...nodes);
      const post = (path: string) => send(front, path, { method: "POST" }, "[]");
      for (let n = 0; n < 4; n++) await post("/api/broadcast");
      expect(posted).toEqual([
        "/api/broadcast",
        "/api/broadcast",
        "/api/broadcast",
        "/api/broadcast",
      ]);
      // A page's goes on, since it only reads.
      await post("/poll");
      expect(posted.slice(4)).toEqual(["/poll", "/poll"]);
    },
  );

  it("tells an EventSource to come back while no relay is there", async () => {
    const { relay, front } = await startBoth();
    await relay.close();
    const call = request({
      host: "127.0.0.1",
      port: front.port,
      path: "/sse?channel=dashboard",
      headers: { origin: ORIGIN },
      rejectUnauthorized: false,
    });
    call.end();
    const [response] = await once(call, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    expect(text).toBe("retry: 2000\n\n");
    expect([response.statusCode, response.headers["content-type"]]).toEqual([
      200,
      "text/event-stream",
    ]);
    expect(response.headers["access-control-allow-origin"]).toBe(ORIGIN);
  });

  it("never shows the admin listener", async () => {
    const { front } = await startBoth();
    for (const path of ["/metrics", "/healthz", "/rtm/metrics", "/anything"]) {
      expect([path, await get(front, path)]).not.toEqual([path, 200]);
    }
    expect(await send(front, "/readyz")).toEqual({ status: 200, body: '{"ready":true}' });
  });

  it("writes no query string to any log, also when the relay is down", async () => {
    const { relay, front } = await startBoth();
    const jwt = await token(["sales"]);
    const client = await openThrough(front, `/ws?channel=sales&token=${jwt}`);
    await client.close();
    await relay.close();
    expect(await get(front, `/ws?token=${jwt}`)).toBe(502);
    expect(await get(front, `/rtm/ws?token=${jwt}`)).toBe(502);
    expect(await get(front, `/ords/a/dashboard/live?token=${jwt}`)).toBe(502);
    const plain = await fetch(`http://127.0.0.1:${front.plainPort}/ws?token=${jwt}`, {
      redirect: "manual",
    });
    expect(plain.status).toBe(308);
    await until("six requests are logged", () => (front.logs().match(/ "GET /g) ?? []).length >= 6);
    expect(front.logs()).toContain('"GET /ws" 101');
    expect(front.logs()).toContain('"GET /ws" 502');
    expect(front.logs()).not.toContain("token");
    expect(front.logs()).not.toContain(jwt.slice(0, 20));
  });
});

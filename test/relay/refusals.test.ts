/** Clients that are refused: they are told why, cost little, and count against their address. */
import { once } from "node:events";
import { IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLogger } from "../../common/logger.ts";
import { AddressRates, addressGroup } from "../../relay/clients/address-rates.ts";
import { RelaySocket } from "../../relay/clients/websocket-peer.ts";
import type { Relay, RelayOptions } from "../../relay/relay.ts";
import { API_KEY, Client, message, SOURCE, startTestRelay, token, until } from "./support.ts";

let relay: Relay;
const lines: Record<string, unknown>[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  lines.length = 0;
  await relay.close();
});

async function start(overrides: object = {}, options: Partial<RelayOptions> = {}): Promise<void> {
  const log = createLogger("info", { write: (line) => lines.push(JSON.parse(line)) });
  relay = await startTestRelay(overrides, { log, ...options });
}

async function counted(line: string): Promise<number> {
  const found = (await relay.registry.metrics())
    .split("\n")
    .find((text) => text.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

function handshake(...headers: string[]): string {
  return [
    "GET /ws HTTP/1.1",
    "Host: x",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: rtm.v1",
    ...headers,
    "",
    "",
  ].join("\r\n");
}

interface Peer {
  readonly socket: Socket;
  received(): Buffer;
}

function peer(text: string): Peer {
  const socket = connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("error", () => {}).on("data", (chunk) => chunks.push(chunk));
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(text);
  return { socket, received: () => Buffer.concat(chunks) };
}

/** Masked empty text frames. */
const FLOOD = Buffer.from([0x81, 0x80, 0, 0, 0, 0].concat()).toString("latin1").repeat(10_000);
const FLOOD_BYTES = Buffer.from(FLOOD, "latin1");

/** Writes until the relay ends the socket; returns how many bytes that took. */
async function flood({ socket }: Peer): Promise<number> {
  let written = 0;
  while (!socket.destroyed && socket.writable && written < 64 * 1024 * 1024) {
    written += FLOOD_BYTES.length;
    if (!socket.write(FLOOD_BYTES)) {
      await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
    }
  }
  return written;
}

/** Counts the frames that are handed to anybody from now on. */
function countFrames(): () => number {
  let frames = 0;
  const { emit } = RelaySocket.prototype;
  vi.spyOn(RelaySocket.prototype, "emit").mockImplementation(function (
    this: RelaySocket,
    ...args: Parameters<typeof emit>
  ) {
    if (args[0] === "message") frames++;
    return emit.apply(this, args);
  } as typeof emit);
  return () => frames;
}

/** A close frame with the code. */
const closeFrame = (code: number) => Buffer.from([code >> 8, code & 255]);

describe("a client that floods after it was refused", () => {
  it.each([
    ["a strange origin", {}, ["Origin: https://evil.example"], 4202],
    ["above the limit", { limits: { connections: 1 } }, [], 4004],
    ["a standby node", {}, [], 4005],
  ])("is read no more: %s", async (what, overrides, headers, code) => {
    await start(overrides);
    if (what === "above the limit") await Client.open(relay, "/ws?channel=public");
    if (what === "a standby node") relay.setServing(false);
    const frames = countFrames();
    const evil = peer(handshake(...headers));
    await until("the refusal", () => evil.received().includes(closeFrame(code)));
    const written = await flood(evil);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    // What fits into its allowance and the chunk that exceeds it.
    expect(frames()).toBeLessThan((3 * 64 * 1024) / 6);
  });

  it("is read no more: too many commands, and after a close of any kind", async () => {
    await start();
    for (const [first, code] of [
      ["", 4006],
      ["x", 4200],
    ] as const) {
      const frames = countFrames();
      const evil = peer(handshake());
      await until("the upgrade", () => evil.received().includes("101"));
      // Masked with zeros. Without a connect frame everything is a protocol error.
      const text = first || '{"op":"connect"}';
      evil.socket.write(Buffer.from([0x81, 0x80 + text.length, 0, 0, 0, 0]));
      evil.socket.write(text);
      const written = await flood(evil);
      expect(written).toBeLessThan(64 * 1024 * 1024);
      expect(evil.received().includes(closeFrame(code))).toBe(true);
      expect(frames()).toBeLessThan((4 * 64 * 1024) / 6);
      vi.restoreAllMocks();
    }
  });

  it("leaves others alone", async () => {
    await start();
    const good = await Client.open(relay, "/ws?channel=public");
    const evil = Array.from({ length: 5 }, () => peer(handshake("Origin: https://evil.example")));
    await Promise.all(evil.map(flood));
    await relay.publisher.publish([message("public", 1)], SOURCE);
    expect(await good.next()).toMatchObject({ payload: 1 });
    await good.close();
  });
});

describe("a client without any right", () => {
  /** Counts what requests are told from now on. */
  function countEvents(name: string): () => number {
    let events = 0;
    const { emit } = IncomingMessage.prototype;
    vi.spyOn(IncomingMessage.prototype, "emit").mockImplementation(function (
      this: IncomingMessage,
      ...args: Parameters<typeof emit>
    ) {
      if (args[0] === name) events++;
      return emit.apply(this, args);
    } as typeof emit);
    return () => events;
  }

  /** Writes all of it, if the relay lets it, and waits for the end of the connection. */
  async function pour({ socket }: Peer, text: string): Promise<void> {
    const closed = once(socket, "close").catch(() => {});
    socket.write(text);
    await once(socket, "end").catch(() => {});
    socket.destroy();
    await closed;
  }

  it("cannot have many requests answered in one turn", async () => {
    let answered = 0;
    const extend: RelayOptions["extend"] = (app) => {
      app.get("/x", (_request, response) => {
        answered++;
        response.end();
      });
    };
    await start({}, { extend });
    await pour(peer(""), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50_000));
    expect(answered).toBeLessThan(1000);
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: "a client sent too many requests at once",
        address: "127.0.0.1",
      }),
    );
  });

  it("has its requests answered when it sends a few at once", async () => {
    await start();
    const { socket, received } = peer("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8));
    await until("all answers", () => received().toString().split("200 OK").length === 9);
    expect(socket.destroyed).toBe(false);
  });

  it("cannot send a body to a place that reads none", async () => {
    await start();
    const endless =
      "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    const { socket, received } = peer(endless);
    await once(socket, "end");
    expect(received().toString()).toMatch(/200 OK[\s\S]*Connection: close/);
  });

  it("cannot send a refused body in very many pieces", async () => {
    await start();
    const pieces = countEvents("data");
    const head = [
      "POST /api/broadcast HTTP/1.1",
      "Host: x",
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    ].join("\r\n");
    const evil = peer(`${head}\r\n\r\n`);
    await pour(evil, "1\r\nx\r\n".repeat(100_000));
    expect(pieces()).toBeGreaterThan(0);
    expect(pieces()).toBeLessThan(10_000);
  });

  it("cannot part one message into very many frames", async () => {
    await start();
    const evil = peer(handshake());
    await until("the upgrade", () => evil.received().includes("101"));
    // Masked with zeros: the first frame, then empty ones.
    evil.socket.write(Buffer.from([0x01, 0x80, 0, 0, 0, 0]));
    evil.socket.write(Buffer.from("\x00\x80\0\0\0\0".repeat(1000), "latin1"));
    await once(evil.socket, "end");
    expect(evil.received().includes(closeFrame(1008))).toBe(true);
  });
});

describe("refusals count against the address", () => {
  const evil = { protocol: "rtm.v1", headers: { origin: "https://evil.example" } };
  const from = (address: string, more: object = {}) => ({
    protocol: "rtm.v1",
    headers: { "x-forwarded-for": address, ...more },
  });
  const status = async (options: Parameters<typeof Client.open>[2]) =>
    Client.open(relay, "/ws", options).then(
      async (client) => {
        client.send({ op: "connect" });
        const closed = await Promise.race([client.end(), client.next()]);
        client.terminate();
        return "code" in closed ? closed.code : "connected";
      },
      (error: Error) => Number(/\d+/.exec(error.message)?.[0]),
    );

  it("behind a trusted proxy, each client by itself", async () => {
    await start({ trustedProxies: ["127.0.0.1"], limits: { refusalsPerMinute: 3 } });
    const origin = { origin: "https://evil.example" };
    const seen: unknown[] = [];
    for (let n = 0; n < 5; n++) seen.push(await status(from("198.51.100.1", origin)));
    expect(seen).toEqual([4202, 4202, 4202, 429, 429]);
    // Whatever it wants now.
    expect(await status(from("198.51.100.1"))).toBe(429);
    expect(await status(from("198.51.100.2"))).toBe("connected");
    expect(await counted('rtm_relay_handshakes_refused_total{reason="address"}')).toBe(3);
  });

  it("that were served and then closed for what they did, too", async () => {
    await start({ trustedProxies: ["127.0.0.1"], limits: { refusalsPerMinute: 2 } });
    for (let n = 0; n < 2; n++) {
      const client = await Client.open(relay, "/ws", from("198.51.100.1"));
      client.send({ op: "connect", token: "x.y.z" });
      expect(await client.end()).toMatchObject({ code: 4101 });
    }
    expect(await status(from("198.51.100.1"))).toBe(429);
  });

  it("but one cannot shut out others where a proxy is not trusted, nor escape by a forged header", async () => {
    await start({ limits: { refusalsPerMinute: 3 } });
    const seen: unknown[] = [];
    for (let n = 0; n < 5; n++) {
      const headers = { ...evil.headers, "x-forwarded-for": `198.51.100.${n}` };
      seen.push(await status({ ...evil, headers }));
    }
    expect(seen).toEqual([4202, 4202, 4202, 429, 429]);
    expect(await status({ protocol: "rtm.v1" })).toBe("connected");
  });

  it("not where it is switched off, and not for what the relay is to blame for", async () => {
    await start({ limits: { refusalsPerMinute: 1 } });
    relay.setServing(false);
    for (let n = 0; n < 4; n++) expect(await status({ protocol: "rtm.v1" })).toBe(4005);
    await relay.close();
    await start({ limits: { refusalsPerMinute: 0 } });
    for (let n = 0; n < 4; n++) expect(await status(evil)).toBe(4202);
  });
});

describe("refused HTTP requests count against the address", () => {
  const address = { "x-forwarded-for": "198.51.100.1" };
  const url = (path: string) => `http://127.0.0.1:${relay.port}${path}`;
  const get = async (path: string) => (await fetch(url(path), { headers: address })).status;
  const send = async (headers: Record<string, string>, body = "{}") => {
    const response = await fetch(url("/api/broadcast"), {
      method: "POST",
      headers: { "content-type": "application/json", ...address, ...headers },
      body,
    });
    return { status: response.status, answer: (await response.json()) as { code?: string } };
  };
  const key = { "x-api-key": API_KEY };
  const two = { trustedProxies: ["127.0.0.1"], limits: { refusalsPerMinute: 2 } };

  it.each<[what: string, request: () => Promise<unknown>]>([
    ["a POST without a key", () => send({})],
    ["a POST with an unknown key", () => send({ "x-api-key": "unknown-key-0123456789" })],
    ["a POST that is no JSON", () => send(key, "{")],
    ["a POST that is too large", () => send(key, `[${"{},".repeat(1000)}{}]`)],
    ["a POST of another type", () => send({ ...key, "content-type": "text/plain" })],
    ["a path that is none of ours", () => get("/wp-login.php")],
    ["a path that cannot be decoded", () => get("/%ZZ")],
  ])("%s", async (_what, request) => {
    await start(two);
    for (let n = 0; n < 2; n++) await request();
    await expect(
      Client.open(relay, "/ws", { protocol: "rtm.v1", headers: address }),
    ).rejects.toThrow("429");
    const other = await Client.open(relay, "/ws", {
      protocol: "rtm.v1",
      headers: { "x-forwarded-for": "198.51.100.2" },
    });
    other.terminate();
  });

  it("many requests at once on one connection", async () => {
    await start(two);
    const many = `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n`;
    for (let n = 0; n < 2; n++) {
      const { socket } = peer(many.repeat(5000));
      socket.on("end", () => socket.destroy());
      await once(socket, "close");
    }
    expect(await get("/nothing")).toBe(429);
  });

  it("above the limit they get a short 429, but keys, health checks and other addresses do not", async () => {
    await start(two);
    expect(await get("/nothing")).toBe(404);
    expect(await send({})).toMatchObject({ status: 401 });
    expect(await get("/nothing")).toBe(429);
    expect(await send({})).toMatchObject({
      status: 429,
      answer: {
        code: "too_many_refusals",
        message: expect.stringContaining("no or unknown x-api-key"),
      },
    });
    expect(await send(key, JSON.stringify({ channel: "public", payload: 1 }))).toMatchObject({
      status: 200,
    });
    expect(await send(key, "{")).toMatchObject({ status: 400, answer: { code: "bad_json" } });
    expect(await get("/readyz")).toBe(200);
    expect(await counted('rtm_relay_requests_refused_total{reason="unauthorized"}')).toBe(1);
    expect(await counted('rtm_relay_requests_refused_total{reason="path"}')).toBe(1);
    expect(await counted('rtm_relay_requests_refused_total{reason="address"}')).toBe(3);
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "request refused", reason: "path", address: "198.51.100.1" }),
    );
  });

  it("not what the relay is to blame for", async () => {
    await start({ ...two, limits: { refusalsPerMinute: 1 } });
    relay.setServing(false);
    for (let n = 0; n < 3; n++) expect(await send(key)).toMatchObject({ status: 503 });
    relay.setServing(true);
    expect(await get("/nothing")).toBe(404);
  });
});

describe("the table of addresses", () => {
  it("is bounded, and forgets what was charged longest ago", () => {
    const rates = new AddressRates(1, 3);
    for (const address of ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.4"]) {
      rates.take(address, 1, 0);
    }
    expect(rates.size).toBe(3);
    const exhausted = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].filter(
      (address) => !rates.has(address, 1, 0),
    );
    expect(exhausted).toEqual(["10.0.0.1", "10.0.0.3", "10.0.0.4"]);
    expect(rates.has("10.0.0.1", 1, 60_000)).toBe(true);
  });

  it("takes a network of IPv6 for one address, and a mapped IPv4 address for itself", () => {
    expect(
      ["2001:db8::1", "2001:DB8:0:0:ffff::2", "2001:db8:0:1::1", "::1", "fe80::1%eth0"].map(
        addressGroup,
      ),
    ).toEqual([
      "2001:db8:0:0::/64",
      "2001:db8:0:0::/64",
      "2001:db8:0:1::/64",
      "0:0:0:0::/64",
      "fe80:0:0:0::/64",
    ]);
    expect(["::ffff:10.0.0.1", "10.0.0.1", "strange"].map(addressGroup)).toEqual([
      "10.0.0.1",
      "10.0.0.1",
      "strange",
    ]);
  });
});

describe("a request that does not become a WebSocket", () => {
  const get = (target: string, ...headers: string[]) =>
    [`GET ${target} HTTP/1.1`, "Host: x", ...headers, "", ""].join("\r\n");

  it.each([
    ["without Upgrade", get("/ws"), 426, "without the header Upgrade", "upgrade_missing"],
    [
      "without Upgrade at /",
      get("/?channel=a", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
      426,
      "proxy_set_header Upgrade",
      "upgrade_missing",
    ],
    ["of another path", handshake().replace("/ws", "/ws/"), 404, "at /ws", "path"],
    [
      "with an empty subprotocol",
      handshake().replace("rtm.v1", ""),
      400,
      "must be rtm.v1",
      "subprotocol",
    ],
    [
      "with another subprotocol",
      handshake().replace("rtm.v1", "mqtt"),
      400,
      "must be rtm.v1",
      "subprotocol",
    ],
    ["with a broken key", handshake().replace("dGhl", ""), 400, "Sec-WebSocket-Key", "handshake"],
    [
      "with large cookies",
      handshake(`Cookie: a=${"x".repeat(20_000)}`),
      431,
      "cookies",
      "headers_too_large",
    ],
    ["that is no HTTP", "\u0016\u0003\u0001 hello\r\n\r\n", 400, "no HTTP", "request_malformed"],
  ])("is answered, counted and logged once: %s", async (_what, text, code, says, reason) => {
    await start();
    for (let n = 0; n < 2; n++) {
      const { socket, received } = peer(text);
      await once(socket, "end");
      const [head, body] = received().toString("latin1").split("\r\n\r\n") as [string, string];
      expect(head).toContain(`HTTP/1.1 ${code}`);
      expect(head.toLowerCase()).toContain("content-type: text/plain");
      expect(body).toContain(says);
    }
    const line = `rtm_relay_handshakes_refused_total{reason="${reason}"}`;
    expect(await counted(line)).toBe(2);
    const logged = lines.filter(({ reason: logged }) => logged === reason);
    expect(logged).toMatchObject([{ msg: "handshake refused", address: "127.0.0.1" }]);
  });

  it("never puts a query, or what a terminal obeys, into the log", async () => {
    await start();
    const target = `/x?token=${await token(["a"])}`;
    const { socket } = peer(handshake("Origin: \u009b31mevil").replace("/ws", target));
    await once(socket, "end");
    const logged = JSON.stringify(lines.find(({ msg }) => msg === "handshake refused"));
    expect(logged).toContain("\\\\u009b31m");
    expect(logged).not.toContain("token");
    expect(logged).not.toContain("\u009b");
  });
});

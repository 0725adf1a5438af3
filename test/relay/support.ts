/** A relay on ports of the system's choice, and clients that wait for frames instead of sleeping. */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { WebSocket } from "ws";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { type RelayConfig, relayConfig } from "../../relay/config.ts";
import type { Message } from "../../relay/message.ts";
import { type Relay, type RelayOptions, startRelay } from "../../relay/relay.ts";
import { mintToken } from "../../relay/token.ts";

/** No wait of a test is longer, ms. */
export const DEADLINE_MS = 15_000;

export const SECRET = "0123456789abcdef0123456789abcdef";
export const API_KEY = "test-key-0123456789";

/** Waits until `condition` is true, and says what was awaited when it never is. */
export async function until(what: string, condition: () => boolean | Promise<boolean>) {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function testConfig(overrides: object = {}): RelayConfig {
  return parseConfig(relayConfig, {
    port: 0,
    admin: { port: 0 },
    drain: { window: "100ms", grace: "1s" },
    tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
    apiKeys: [{ name: "worker", key: API_KEY, trusted: true }],
    publicChannels: ["public*"],
    ...overrides,
  });
}

export const log = createLogger((process.env.RTM_TEST_LOG as "silent") ?? "silent");

export function startTestRelay(
  overrides: object = {},
  options: Partial<RelayOptions> = {},
): Promise<Relay> {
  return startRelay(testConfig(overrides), { log, ...options });
}

export function token(
  channels: readonly string[],
  options: {
    subject?: string;
    lifetimeMs?: number;
    now?: number;
    kid?: string;
    secret?: string;
  } = {},
): Promise<string> {
  const { subject = "scott", lifetimeMs = 60_000, now, kid = "k1", secret = SECRET } = options;
  return mintToken(
    { subject, channels, lifetimeMs, kid, secret: Buffer.from(secret) },
    now ?? Date.now(),
  );
}

let counter = 0;

/** A message with an id of its own. */
export function message(channel: string, payload: unknown, more: Partial<Message> = {}): Message {
  counter++;
  return {
    channel,
    eventName: "event",
    payload: JSON.stringify(payload),
    id: randomUUID(),
    ts: 1_795_333_000_000 + counter,
    ...more,
  };
}

export interface Frame {
  readonly op?: string;
  readonly [key: string]: unknown;
}

/** A WebSocket client that keeps what it receives until somebody asks for it. */
export class Client {
  readonly ws: WebSocket;
  readonly received: string[] = [];
  closed: { code: number; reason: string } | undefined;
  #waiters: (() => void)[] = [];

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data) => {
      this.received.push(data.toString());
      this.#wake();
    });
    ws.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    ws.on("error", () => {});
  }

  static async open(
    relay: { port: number },
    path = "/ws",
    options: { protocol?: string; headers?: Record<string, string> } = {},
  ): Promise<Client> {
    const url = `ws://127.0.0.1:${relay.port}${path}`;
    const ws = new WebSocket(url, options.protocol === undefined ? [] : [options.protocol], {
      headers: options.headers ?? {},
      perMessageDeflate: false,
    });
    const client = new Client(ws);
    await once(ws, "open");
    return client;
  }

  /** Opens with `rtm.v1` and sends `connect`. */
  static async connect(relay: { port: number }, connect: object = {}): Promise<Client> {
    const client = await Client.open(relay, "/ws", { protocol: "rtm.v1" });
    client.send({ op: "connect", ...connect });
    return client;
  }

  send(frame: object): void {
    this.ws.send(JSON.stringify(frame));
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  async #changed(what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push(resolve);
      timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), DEADLINE_MS);
    }).finally(() => clearTimeout(timer));
  }

  /** The next frame as text, other than pings. */
  async nextText(what = "a frame"): Promise<string> {
    for (;;) {
      const text = this.received.shift();
      if (text !== undefined) {
        if (text === '{"op":"ping"}') continue;
        return text;
      }
      if (this.closed) throw new Error(`closed with ${this.closed.code} while waiting for ${what}`);
      await this.#changed(what);
    }
  }

  async next(what = "a frame"): Promise<Frame> {
    return JSON.parse(await this.nextText(what)) as Frame;
  }

  async nextN(count: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count)
      frames.push(await this.next(`frame ${frames.length + 1} of ${count}`));
    return frames;
  }

  async close(): Promise<{ code: number; reason: string }> {
    this.ws.close();
    return this.end();
  }

  /** How the connection ended; frames received before stay. */
  async end(): Promise<{ code: number; reason: string }> {
    while (!this.closed) await this.#changed("the connection to end");
    return this.closed;
  }

  /** Stops reading from the socket. */
  stopReading(): void {
    (this.ws as unknown as { _socket: { pause(): void } })._socket.pause();
  }

  startReading(): void {
    (this.ws as unknown as { _socket: { resume(): void } })._socket.resume();
  }

  terminate(): void {
    this.ws.terminate();
  }
}

export async function post(
  relay: { port: number },
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${relay.port}/api/broadcast`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": API_KEY, ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text), headers: response.headers };
}

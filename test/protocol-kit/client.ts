/** A WebSocket client and a poster that wait for events instead of sleeping. They know no relay code. */
import { once } from "node:events";
import { WebSocket } from "ws";
import { DEADLINE_MS, until } from "../support/until.ts";

export { DEADLINE_MS, until };

/** Where a relay listens: on a port of this machine, or at `http(s)://host`. */
export type Target = { readonly port: number } | { readonly url: string };

export function urlOf(target: Target): string {
  return "url" in target ? target.url : `http://127.0.0.1:${target.port}`;
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
  pings = 0;
  /** Leaves pings unanswered. */
  silent = false;
  #waiters: (() => void)[] = [];

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data) => {
      const text = data.toString();
      if (text === '{"op":"ping"}') {
        this.pings++;
        if (!this.silent) this.send({ op: "pong" });
      } else this.received.push(text);
      this.#wake();
    });
    ws.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    ws.on("error", () => {});
  }

  static async open(
    target: Target,
    path = "/ws",
    options: { protocol?: string; headers?: Record<string, string> } = {},
  ): Promise<Client> {
    const ws = new WebSocket(
      `${urlOf(target).replace(/^http/, "ws")}${path}`,
      options.protocol === undefined ? [] : [options.protocol],
      {
        headers: options.headers ?? {},
        perMessageDeflate: false,
      },
    );
    const client = new Client(ws);
    await once(ws, "open");
    return client;
  }

  /** Opens with `rtm.v1` and sends `connect`. */
  static async connect(target: Target, connect: object = {}): Promise<Client> {
    const client = await Client.open(target, "/ws", { protocol: "rtm.v1" });
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

  /** The next frame as text. Pings are answered and counted, not returned. */
  async nextText(what = "a frame"): Promise<string> {
    for (;;) {
      const text = this.received.shift();
      if (text !== undefined) return text;
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
  target: Target,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(`${urlOf(target)}/api/broadcast`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text), headers: response.headers };
}

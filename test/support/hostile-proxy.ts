/** An HTTP proxy that treats WebSockets and streams as some on the internet do. */
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/**
 * `pass`; `eat`: the handshake passes, frames do not; `hang`: no answer to the handshake; `die`: the
 * connection is cut soon after it was opened; `slow`: the handshake takes `slowMs`.
 */
export type WebSocketHabit = "pass" | "eat" | "hang" | "die" | "slow";

export class HostileProxy {
  webSockets: WebSocketHabit = "pass";
  /** Answers are passed on when they are complete. */
  buffers = false;
  slowMs = 1_500;
  dieMs = 300;
  /** WebSocket handshakes that came, and requests by path. */
  handshakes = 0;
  readonly requests: string[] = [];
  /** Streams that are open. */
  streams = 0;
  readonly #targetPort: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
    this.#server = createServer((asked, answer) => {
      this.requests.push(asked.url as string);
      const streams = asked.url === "/stream";
      if (streams) this.streams++;
      answer.on("close", () => {
        if (streams) this.streams--;
        forwarded.destroy();
      });
      const { method, url, headers } = asked;
      const port = this.#targetPort();
      const options = { host: "127.0.0.1", port, method, path: url, headers, agent: false };
      const forwarded = request(options, (answered) => {
        if (!this.buffers) {
          answer.writeHead(answered.statusCode as number, answered.headers).flushHeaders();
          answered.pipe(answer);
          return;
        }
        const parts: Buffer[] = [];
        answered.on("error", () => answer.destroy()).on("data", (part) => parts.push(part));
        answered.on("end", () => {
          answer.writeHead(answered.statusCode as number, answered.headers);
          answer.end(Buffer.concat(parts));
        });
      });
      forwarded.on("error", () => {
        if (answer.headersSent) answer.destroy();
        else answer.writeHead(502).end("Bad Gateway");
      });
      asked.pipe(forwarded);
    });
    this.#server.on("connection", (socket) => this.#track(socket));
    this.#server.on("upgrade", (asked, socket: Socket) => {
      this.handshakes++;
      const habit = this.webSockets;
      if (habit === "hang") return;
      const target = connect(this.#targetPort(), "127.0.0.1");
      this.#track(target);
      target.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.on("close", () => target.destroy());
      const head = Object.entries(asked.headers).map(([name, value]) => `${name}: ${value}`);
      target.write([`GET ${asked.url} HTTP/1.1`, ...head, "", ""].join("\r\n"));
      target.once("data", (handshake) => {
        const open = () => {
          socket.write(handshake);
          if (habit === "eat") return;
          target.pipe(socket);
          socket.pipe(target);
          if (habit === "die") setTimeout(() => socket.destroy(), this.dieMs);
        };
        if (habit === "slow") setTimeout(open, this.slowMs);
        else open();
      });
    });
  }

  static async to(targetPort: () => number): Promise<HostileProxy> {
    const proxy = new HostileProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

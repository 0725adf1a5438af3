/** A TCP proxy whose line a test can silence or cut. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refusing = false;
  #requestsPass = true;
  #answersPass = true;
  #onAnswer = () => {};
  #targetPort: number;
  /** Connections that came so far. */
  accepted = 0;
  /** Connections whose client has not closed its side. */
  clients = 0;

  private constructor(targetPort: number, targetHost: string) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => {
      this.accepted++;
      this.clients++;
      client.once("close", () => this.clients--);
      if (this.#refusing) {
        client.destroy();
        return;
      }
      const target = connect(this.#targetPort, targetHost);
      client.on("data", (bytes) => this.#requestsPass && target.write(bytes));
      target.on("data", (bytes) => {
        if (this.#answersPass) client.write(bytes);
        else this.#onAnswer();
      });
      for (const [socket, peer] of [
        [client, target],
        [target, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => peer.destroy());
        socket.on("close", () => {
          this.#sockets.delete(socket);
          // The peer of a connection whose bytes are swallowed does not learn of its end either.
          if (this.#requestsPass || this.#answersPass) peer.destroySoon();
        });
      }
    });
  }

  /** Listens on a free port of 127.0.0.1. */
  static async to(targetPort: number, targetHost = "127.0.0.1"): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, targetHost);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing that a client sends arrives from now on. */
  blockRequests(): void {
    this.#requestsPass = false;
  }

  /** New connections go to another port; those that are open stay where they are. */
  retarget(port: number): void {
    this.#targetPort = port;
  }

  /** Requests arrive from now on and no answer does; resolves when the target has sent one. */
  blockAnswers(): Promise<void> {
    this.#answersPass = false;
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
    });
  }

  /** From now on no byte passes in either direction, while every socket stays open. */
  swallow(): void {
    this.#requestsPass = false;
    this.#answersPass = false;
  }

  /** Resets every connection and accepts none until `restore`. */
  cut(): void {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** What was swallowed is lost: connections of that time have to be cut to be of use again. */
  restore(): void {
    this.#refusing = false;
    this.#requestsPass = true;
    this.#answersPass = true;
  }

  async close(): Promise<void> {
    this.cut();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

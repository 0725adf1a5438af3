/** A TCP proxy on loopback that a test can cut. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refusing = false;
  #swallowing = false;
  #swallowingAnswers = false;
  #target: number;
  /** Connections that came so far. */
  accepted = 0;
  /** Connections whose client has not closed its side. */
  clients = 0;

  private constructor(targetPort: number) {
    this.#target = targetPort;
    this.#server = createServer((client) => {
      this.accepted++;
      this.clients++;
      client.once("close", () => this.clients--);
      if (this.#refusing) {
        client.destroy();
        return;
      }
      const upstream = connect(this.#target, "127.0.0.1");
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.on("data", (bytes) => {
          if (this.#swallowing || (this.#swallowingAnswers && from === upstream)) return;
          to.write(bytes);
        });
        from.on("error", () => to.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          // The peer of a connection whose bytes are swallowed does not learn of its end either.
          if (!this.#swallowing) to.destroySoon();
        });
      }
    });
  }

  static async to(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on no byte passes in either direction, while every socket stays open. */
  swallow(): void {
    this.#swallowing = true;
  }

  /** From now on requests arrive, and no answer does, while every socket stays open. */
  swallowAnswers(): void {
    this.#swallowingAnswers = true;
  }

  /** New connections go to another port; those that are open stay where they are. */
  retarget(port: number): void {
    this.#target = port;
  }

  /** Resets every connection and accepts none until `restore`. */
  cut(): void {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** What was swallowed is lost: connections of that time have to be cut to be of use again. */
  restore(): void {
    this.#refusing = false;
    this.#swallowing = false;
    this.#swallowingAnswers = false;
  }

  async close(): Promise<void> {
    this.cut();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

/**
 * Connections without a network: pipes in memory from a page to the relay's HTTP server. Bytes move only when
 * the event loop turns, so it can be waited for until nothing is under way, and the order is the same each time.
 */
import { Server as HttpServer, type Server } from "node:http";
import { Server as NetServer } from "node:net";
import { Duplex } from "node:stream";
import { vi } from "vitest";

/** Turns in which nothing moves, after which nothing will: what waits for the end of a turn takes up to two. */
const QUIET_TURNS = 4;

export class Network {
  #turn = 0;
  #underWay: { readonly at: number; readonly arrive: () => void }[] = [];
  #turning: NodeJS.Immediate | undefined;

  /**
   * A page's end of a connection to `server`.
   * @param lag turns that all takes, beyond the one that it takes anyway
   */
  connect(server: Server, lag: number): Duplex {
    const page = new End(this, lag);
    const relay = new End(this, lag);
    page.other = relay;
    relay.other = page;
    server.emit("connection", relay);
    return page;
  }

  /** @internal */
  carry(lag: number, arrive: () => void): void {
    this.#underWay.push({ at: this.#turn + lag, arrive });
    this.#turning ??= setImmediate(this.#turnOnce);
  }

  readonly #turnOnce = (): void => {
    this.#turning = undefined;
    const due = this.#underWay.filter(({ at }) => at <= this.#turn);
    this.#underWay = this.#underWay.filter(({ at }) => at > this.#turn);
    this.#turn++;
    if (this.#underWay.length > 0) this.#turning ??= setImmediate(this.#turnOnce);
    for (const { arrive } of due) arrive();
  };

  /** Lets the event loop turn so many times. */
  async turns(count: number): Promise<void> {
    for (let left = count; left > 0; left--) await new Promise(setImmediate);
  }

  /** Until nothing is under way. */
  async quiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      const before = this.#turn;
      await this.turns(1);
      quiet = this.#underWay.length === 0 && this.#turn === before ? quiet + 1 : 0;
    }
  }
}

class End extends Duplex {
  /** What a server asks of a socket. */
  readonly remoteAddress = "127.0.0.1";
  other!: End;
  readonly #network: Network;
  readonly #lag: number;

  constructor(network: Network, lag: number) {
    super({ allowHalfOpen: true });
    this.#network = network;
    this.#lag = lag;
    this.on("error", () => {});
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#network.carry(this.#lag, () => {
      if (!this.other.destroyed) this.other.push(chunk);
      done();
    });
  }

  override _final(done: () => void): void {
    this.#network.carry(this.#lag, () => {
      if (!this.other.destroyed) this.other.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#network.carry(this.#lag, () => this.other.destroy());
    done(error);
  }
}

/** The HTTP server that listens while `start` runs. */
export async function serverOf<T>(
  start: () => Promise<T>,
): Promise<{ readonly started: T; readonly server: Server }> {
  const listening = vi.spyOn(NetServer.prototype, "listen");
  try {
    const started = await start();
    const server = listening.mock.contexts.find((each) => each instanceof HttpServer);
    return { started, server: server as Server };
  } finally {
    listening.mockRestore();
  }
}

/**
 * Watches the sockets of clients that were told to go. Each may still send what was under way when
 * it was told; whoever sends more is cut off, so that nobody is read who is not served.
 */
import type { Duplex } from "node:stream";

/** How long a refused client may take to read why, ms. */
const LEAVE_MS = 1000;
/** How often it is looked at, ms. */
const LOOK_MS = 100;

export class Farewells {
  readonly #allowance: number;
  /** Due first first; ms of the monotonic clock. */
  readonly #refused = new Map<Duplex, number>();
  #looking: NodeJS.Timeout | undefined;

  /** @param allowance bytes that a client may still send */
  constructor(allowance: number) {
    this.#allowance = allowance;
  }

  /** A client that was served is closed; its WebSocket waits for its answer. */
  closed(socket: Duplex): void {
    this.#listen(socket, this.#allowance);
  }

  /** A client was refused: whether it answers or not, it is gone soon. */
  refused(socket: Duplex): void {
    this.#listen(socket, this.#allowance);
    this.#drop(socket);
  }

  /** A client sent too much: nothing more is read, and its socket ends. Its reader must be paused. */
  silenced(socket: Duplex): void {
    socket.end();
    this.#listen(socket, 0);
    this.#drop(socket);
  }

  #listen(socket: Duplex, allowance: number): void {
    let left = allowance;
    socket.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) socket.destroy();
    });
  }

  #drop(socket: Duplex): void {
    this.#refused.set(socket, performance.now() + LEAVE_MS);
    socket.once("close", () => this.#refused.delete(socket));
    this.#looking ??= setInterval(this.#look, LOOK_MS).unref();
  }

  readonly #look = (): void => {
    const now = performance.now();
    for (const [socket, due] of this.#refused) {
      if (due > now) return;
      this.#refused.delete(socket);
      socket.destroy();
    }
    clearInterval(this.#looking);
    this.#looking = undefined;
  };

  /** Drops all that have not gone yet. */
  close(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    for (const socket of this.#refused.keys()) socket.destroy();
    this.#refused.clear();
  }
}

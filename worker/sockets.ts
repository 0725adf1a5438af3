/**
 * Which sockets the driver has opened for whom. The driver gives no way to end a connection that
 * does not answer (its close() waits for the peer), and none at all before a logon has finished, so
 * the worker keeps the sockets itself. Node announces each on `net.client.socket`
 * (nodejs.org/api/diagnostics_channel.html), in the asynchronous context of who asked for it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

const owners = new AsyncLocalStorage<Sockets>();

subscribe("net.client.socket", (message) => {
  const { socket } = message as { socket: Socket };
  owners.getStore()?.add(socket);
});

let tracking = 0;

/**
 * The sockets that the driver opened for one logon, so that they can be destroyed whatever the
 * driver waits for.
 */
export class Sockets {
  readonly #open = new Set<Socket>();

  /** Runs `open` and remembers every socket that is opened on its behalf until it settles. */
  async track<T>(open: () => Promise<T>): Promise<T> {
    tracking++;
    try {
      return await owners.run(this, open);
    } finally {
      // While it is enabled every promise of the process costs more (Node 20).
      if (--tracking === 0) owners.disable();
    }
  }

  add(socket: Socket): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Calls `listener` when one of the sockets that are open now has closed. */
  onClose(listener: () => void): void {
    for (const socket of this.#open) socket.once("close", listener);
  }

  /**
   * Ends them without waiting for anybody. What waits on them in the driver fails. It has to be
   * with an error: after a plain close the driver believes that it can still say goodbye, and its
   * finalizer, at the next garbage collection, would throw where nobody can catch it.
   */
  destroy(): void {
    for (const socket of this.#open) {
      socket.on("error", () => {});
      socket.destroy(new Error("abandoned by the worker"));
    }
  }
}

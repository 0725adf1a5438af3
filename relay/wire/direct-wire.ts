/**
 * The fastest way to a TCP socket: to libuv's handle, past Node's stream layer, which costs CPU for
 * each frame. Only while the stream itself has nothing to write, so that one order is kept: what the
 * kernel does not take at once, libuv queues, and all that follows goes through the stream to the
 * end of that queue.
 *
 * Relies on private parts of Node: the stream's `_handle`, and the `stream_wrap` binding.
 * `wire-check.ts` tries them when the relay starts; what it cannot find out is a Node that ends the
 * process where it used to queue.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Frames } from "./frame.ts";
import { JoinedWire, type WireFactory } from "./wire.ts";

/** A write that libuv has queued. */
interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** What is written stays in memory as long as the request. */
  bytes?: Uint8Array;
}

interface Handle {
  /** 0, or a negative errno. The request is used only when the kernel does not take all at once. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}

/** What this module needs of Node's `stream_wrap` binding. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** What Node's last write of any stream did, at the indexes that the binding names. */
  readonly streamBaseState: ArrayLike<number>;
  readonly kLastWriteWasAsync: number;
}

/** What all direct wires share. */
class Requests {
  /** For the next write that libuv has to queue; most never need one. */
  spare: WriteRequest;
  readonly #binding: StreamBinding;

  /** @throws {Error} this Node has no such binding, or denies it (--permission) */
  constructor() {
    const { binding } = process as unknown as { binding(name: string): StreamBinding };
    const found = binding.call(process, "stream_wrap");
    if (
      typeof found.WriteWrap !== "function" ||
      typeof found.streamBaseState?.[found.kLastWriteWasAsync] !== "number"
    ) {
      throw new Error("the stream_wrap binding has changed");
    }
    this.#binding = found;
    this.spare = new found.WriteWrap();
  }

  /** Whether libuv has queued the last write, under the spare request. */
  get queued(): boolean {
    return this.#binding.streamBaseState[this.#binding.kLastWriteWasAsync] !== 0;
  }

  /** Gives the spare request away. */
  take(): WriteRequest {
    const request = this.spare;
    this.spare = new this.#binding.WriteWrap();
    return request;
  }
}

class DirectWire extends JoinedWire {
  readonly #requests: Requests;
  /** Bytes that libuv has queued for us. */
  #queued = 0;
  #onDrain: (() => void) | undefined;
  /** What waits for `uncork`; undefined while not corked. */
  #corked: Buffer[] | undefined;
  #corkedBytes = 0;

  constructor(ws: WebSocket, socket: Duplex, requests: Requests) {
    super(ws, socket);
    this.#requests = requests;
  }

  override get pending(): number {
    return this.#corkedBytes + this.#queued + this.socket.writableLength;
  }

  /** The stream's own corking would cost more than the writes that it saves. */
  override cork(): void {
    this.#corked ??= [];
  }

  override uncork(): void {
    this.#writeCorked();
    this.#corked = undefined;
  }

  override ping(): void {
    this.#writeCorked();
    super.ping();
  }

  override pong(data: Buffer): void {
    this.#writeCorked();
    super.pong(data);
  }

  override close(code: number, reason: string): void {
    this.#writeCorked();
    super.close(code, reason);
  }

  override write({ joined }: Frames): void {
    if (!this.open) return;
    if (this.#corked) {
      this.#corked.push(joined);
      this.#corkedBytes += joined.length;
    } else this.#writeNow(joined);
  }

  #writeCorked(): void {
    const corked = this.#corked;
    if (!corked || corked.length === 0) return;
    this.#corked = [];
    this.#corkedBytes = 0;
    if (this.open)
      this.#writeNow(corked.length === 1 ? (corked[0] as Buffer) : Buffer.concat(corked));
  }

  #writeNow(joined: Buffer): void {
    const { socket } = this;
    if (this.#queued > 0 || socket.writableLength > 0 || socket.writableCorked > 0) {
      socket.write(joined);
      return;
    }
    const { _handle: handle } = socket as unknown as { _handle: Handle | null };
    // The socket was destroyed; `ws` will say so.
    if (!handle) return;
    const requests = this.#requests;
    if (handle.writeBuffer(requests.spare, joined) < 0) {
      requests.take();
      socket.destroy();
    } else if (requests.queued) this.#wait(requests.take(), joined);
  }

  override onDrain(listener: () => void): void {
    super.onDrain(listener);
    this.#onDrain = listener;
  }

  /** libuv has queued `bytes` under `request`. */
  #wait(request: WriteRequest, bytes: Buffer): void {
    this.#queued += bytes.length;
    request.bytes = bytes;
    request.oncomplete = (status) => {
      this.#queued -= bytes.length;
      if (status < 0) this.socket.destroy();
      else this.#onDrain?.();
    };
  }
}

/** @throws {Error} this Node has no such binding, or denies it (--permission) */
export function directWires(): WireFactory {
  const requests = new Requests();
  return (ws, socket) => new DirectWire(ws, socket, requests);
}

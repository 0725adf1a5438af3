/**
 * The fastest way to a TCP socket: to libuv's handle, past Node's stream layer, which takes about
 * half as much CPU for a small frame as the kernel does. Only while the stream itself has nothing to
 * write, so that one order is kept: what the kernel does not take at once, libuv queues, and all
 * that follows goes through the stream to the end of that queue.
 *
 * Relies on private parts of Node: the stream's `_handle`, and the `stream_wrap` binding.
 * `wire-check.ts` tries them when the relay starts.
 */
import { getSystemErrorName } from "node:util";
import type { Frames } from "./batch.ts";
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

/** @throws {Error} this Node has no such binding, or denies it (--permission) */
function streamBinding(): StreamBinding {
  const { binding } = process as unknown as { binding(name: string): StreamBinding };
  const found = binding.call(process, "stream_wrap");
  const { WriteWrap, streamBaseState, kLastWriteWasAsync } = found;
  if (
    typeof WriteWrap === "function" &&
    typeof kLastWriteWasAsync === "number" &&
    typeof streamBaseState?.[kLastWriteWasAsync] === "number"
  ) {
    return found;
  }
  throw new Error("the stream_wrap binding has changed");
}

/** @throws {Error} this Node has no such binding, or denies it (--permission) */
export function directWires(): WireFactory {
  const { WriteWrap, streamBaseState, kLastWriteWasAsync } = streamBinding();
  /** For the next write that libuv has to queue; most never need one. */
  let spare = new WriteWrap();

  class DirectWire extends JoinedWire {
    /** Bytes that libuv has queued for us. */
    #queued = 0;
    #onDrain: (() => void) | undefined;

    override get pending(): number {
      return this.#queued + this.socket.writableLength;
    }

    override write(frames: Frames): void {
      if (!this.open) return;
      const { socket } = this;
      if (this.#queued > 0 || socket.writableLength > 0 || socket.writableCorked > 0) {
        socket.write(frames.joined);
        return;
      }
      const { _handle: handle } = socket as unknown as { _handle: Handle | null };
      // The socket was destroyed; `ws` will say so.
      if (!handle) return;
      const status = handle.writeBuffer(spare, frames.joined);
      if (status < 0) this.#fail(status);
      else if (streamBaseState[kLastWriteWasAsync]) this.#wait(frames.joined);
    }

    override onDrain(listener: () => void): void {
      super.onDrain(listener);
      this.#onDrain = listener;
    }

    /** libuv has queued `bytes` under the spare request. */
    #wait(bytes: Buffer): void {
      const request = spare;
      spare = new WriteWrap();
      this.#queued += bytes.length;
      request.bytes = bytes;
      request.oncomplete = (status) => {
        this.#queued -= bytes.length;
        if (status < 0) this.#fail(status);
        else this.#onDrain?.();
      };
    }

    #fail(status: number): void {
      spare = new WriteWrap();
      this.socket.destroy(new Error(`write ${getSystemErrorName(status)}`));
    }
  }

  return (ws, socket) => new DirectWire(ws, socket);
}

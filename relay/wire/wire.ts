/**
 * How frames reach a socket. A fast wire writes finished frames to the socket that Node handed us
 * with the upgrade, past `WebSocket.send`, so that all frames of a turn are one write. It is right
 * only while `ws` itself writes pings, pongs and closes to that same socket at once and unchanged.
 * `wire-check.ts` tries that when the relay starts; if it fails, the public API does the work.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Frames } from "./frame.ts";
import { frameText } from "./frame.ts";

/** One connection's way out. Nothing it does throws. */
export interface Wire {
  /** Bytes accepted for writing that the kernel does not have yet. */
  readonly pending: number;
  /** False once a close frame was sent or received, or the socket is gone. */
  readonly open: boolean;
  write(frames: Frames): void;
  /** What is written until `uncork` may leave in one write. */
  cork(): void;
  uncork(): void;
  ping(): void;
  pong(data: Buffer): void;
  close(code: number, reason: string): void;
  destroy(): void;
  /** Calls `listener` each time pending writes have reached the kernel (it may miss some). */
  onDrain(listener: () => void): void;
}

const NOTHING = Buffer.alloc(0);

function ignore(): void {}

/** RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** A reason that `ws` accepts, whatever a client made us repeat in it. */
export function closeReason(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, MAX_REASON_BYTES);
}

export type WireFactory = (ws: WebSocket, socket: Duplex) => Wire;

abstract class BaseWire {
  protected readonly ws: WebSocket;
  protected readonly socket: Duplex;

  constructor(ws: WebSocket, socket: Duplex) {
    this.ws = ws;
    this.socket = socket;
  }

  get open(): boolean {
    return this.ws.readyState === this.ws.OPEN;
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  ping(): void {
    if (this.open) this.ws.ping(NOTHING, false, ignore);
  }

  pong(data: Buffer): void {
    if (this.open) this.ws.pong(data, false, ignore);
  }

  close(code: number, reason: string): void {
    this.ws.close(code, closeReason(reason));
  }

  destroy(): void {
    this.ws.terminate();
  }
}

/** Writes joined frames to the socket itself. */
export class JoinedWire extends BaseWire implements Wire {
  get pending(): number {
    return this.socket.writableLength;
  }

  write(frames: Frames): void {
    if (this.open) this.socket.write(frames.joined);
  }

  onDrain(listener: () => void): void {
    this.socket.on("drain", listener);
  }
}

/** Sends each frame with the public API. */
export class PublicWire extends BaseWire implements Wire {
  #onDrain: () => void = ignore;
  readonly #written = (): void => {
    if (this.ws.bufferedAmount === 0) this.#onDrain();
  };

  get pending(): number {
    return this.ws.bufferedAmount;
  }

  write(frames: Frames): void {
    if (!this.open) return;
    for (const frame of frames.frames) {
      this.ws.send(frameText(frame), { binary: false, compress: false }, this.#written);
    }
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }
}

/**
 * How frames reach a socket. The fast way writes finished frames to the socket that Node handed us
 * with the upgrade, past `WebSocket.send`, so that all frames of a turn are one write. It is right
 * only while `ws` itself writes pings, pongs and closes to that same socket at once and unchanged.
 * `joinedWritesWork` tries that when the relay starts; if it fails, the public API does the work.
 */
import { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Frames } from "./batch.ts";
import { frameText, textFrame } from "./frame.ts";

/** One connection's way out. Nothing it does throws. */
export interface Wire {
  /** Bytes accepted for writing that the kernel does not have yet. */
  readonly pending: number;
  /** False once a close frame was sent or received, or the socket is gone. */
  readonly open: boolean;
  write(frames: Frames): void;
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

abstract class BaseWire {
  protected readonly ws: WebSocket;

  constructor(ws: WebSocket) {
    this.ws = ws;
  }

  get open(): boolean {
    return this.ws.readyState === this.ws.OPEN;
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
class JoinedWire extends BaseWire implements Wire {
  readonly #socket: Duplex;

  constructor(ws: WebSocket, socket: Duplex) {
    super(ws);
    this.#socket = socket;
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  write(frames: Frames): void {
    if (this.open) this.#socket.write(frames.joined);
  }

  onDrain(listener: () => void): void {
    this.#socket.on("drain", listener);
  }
}

/** Sends each frame with the public API. */
class PublicWire extends BaseWire implements Wire {
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

export type WireFactory = (ws: WebSocket, socket: Duplex) => Wire;

export const joinedWire: WireFactory = (ws, socket) => new JoinedWire(ws, socket);
export const publicWire: WireFactory = (ws) => new PublicWire(ws);

/** A socket that keeps what is written to it. */
class Recorder extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

/**
 * Whether `ws` writes what it is told to the socket of the upgrade, at once and in order: a
 * handshake on a recording socket, then pings, a close and frames of our own between them.
 */
export function joinedWritesWork(): boolean {
  const socket = new Recorder();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  try {
    const request = new IncomingMessage(socket as never);
    request.method = "GET";
    request.headers = {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
    };
    let ok = false;
    server.handleUpgrade(request, socket, NOTHING, (ws) => {
      const handshake = socket.written.length;
      const wire = joinedWire(ws, socket);
      const frames = [textFrame("1"), textFrame("2")];
      wire.write({ frames, joined: Buffer.concat(frames) });
      wire.ping();
      wire.write({ frames, joined: Buffer.concat(frames) });
      ws.pong(NOTHING, false, ignore);
      wire.close(4000, "x");
      wire.write({ frames, joined: Buffer.concat(frames) });
      const expected = "8101318101328900810131810132 8a008803 0fa078".replaceAll(" ", "");
      ok = Buffer.concat(socket.written.slice(handshake)).toString("hex") === expected;
      ws.terminate();
    });
    return ok;
  } catch {
    return false;
  } finally {
    socket.destroy();
    server.close();
  }
}

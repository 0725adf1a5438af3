/** Chooses the fastest wire that works with this version of Node and `ws`, by trying each. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { messageOf } from "../../common/errors.ts";
import { directWires } from "./direct-wire.ts";
import { oneFrame, textFrame } from "./frame.ts";
import { JoinedWire, PublicWire, type Wire, type WireFactory } from "./wire.ts";

/**
 * `direct`: joined frames, to the handle of the socket; `joined`: joined frames, to the socket;
 * `public`: frame by frame with `WebSocket.send`.
 */
export type WireKind = "direct" | "joined" | "public";

const FACTORIES: Readonly<Record<WireKind, () => WireFactory>> = {
  direct: directWires,
  joined: () => (ws, socket) => new JoinedWire(ws, socket),
  public: () => (ws, socket) => new PublicWire(ws, socket),
};

/** @throws {Error} `direct` with a Node that has not what it needs */
export function wireFactory(kind: WireKind): WireFactory {
  return FACTORIES[kind]();
}

export interface WireChoice {
  readonly kind: WireKind;
  /** Why it is not `direct`. */
  readonly problem: string | undefined;
}

let best: Promise<WireChoice> | undefined;

/** The fastest kind that works; tried once per process. */
export function bestWire(): Promise<WireChoice> {
  best ??= chooseWire();
  return best;
}

export async function chooseWire(): Promise<WireChoice> {
  const problem = await wireProblem("direct");
  if (problem === undefined) return { kind: "direct", problem };
  return { kind: (await wireProblem("joined")) === undefined ? "joined" : "public", problem };
}

/** The longest wait for what was written, ms. */
const DEADLINE_MS = 5000;
const BULK_BYTES = 256 * 1024;
/** Far more than the kernel takes for a peer that does not read, bytes. */
const MAX_BULK_BYTES = 64 * 1024 * 1024;

/**
 * Why wires of a kind cannot be used; undefined when everything reaches the other end of a loopback
 * connection unchanged and in one order: our frames and what `ws` writes between them, with a peer
 * that keeps up and with one that does not.
 */
export async function wireProblem(kind: WireKind): Promise<string | undefined> {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const ends: Socket[] = [];
  try {
    const makeWire = wireFactory(kind);
    const signal = AbortSignal.timeout(DEADLINE_MS);
    server.listen(0, "127.0.0.1");
    await once(server, "listening", { signal });
    const accepted = once(server, "connection", { signal });
    let actual = new Digest();
    const { port } = server.address() as AddressInfo;
    const client = connectPeer(port, (bytes) => actual.add(bytes));
    ends.push(client);
    const [socket] = (await accepted) as [Socket];
    ends.push(socket);
    const ws = upgrade(sockets, socket);
    await once(client, "bytes", { signal });
    client.pause();
    actual = new Digest();
    const expected = new Digest();
    const wire = makeWire(ws, socket);
    let drained = false;
    wire.onDrain(() => {
      drained = true;
    });
    writeAll(wire, (bytes) => expected.add(bytes));
    client.resume();
    while (actual.bytes < expected.bytes) await once(client, "bytes", { signal });
    // Whatever should not have been written comes now.
    ws.terminate();
    await once(client, "close", { signal });
    if (actual.value() !== expected.value()) return "other bytes arrive than were written";
    return drained && wire.pending === 0 ? undefined : "the end of a write is not told";
  } catch (error) {
    return messageOf(error);
  } finally {
    for (const socket of ends) socket.destroy();
    sockets.close();
    server.close();
  }
}

/** Writes in every state of a wire. */
function writeAll(wire: Wire, expect: (bytes: Buffer) => void): void {
  const data = (text: string): void => {
    const frame = textFrame(text);
    wire.write(oneFrame(frame));
    expect(frame);
  };
  const control = (): void => {
    wire.ping();
    wire.pong(Buffer.from("x"));
    expect(Buffer.from([0x89, 0, 0x8a, 1, 0x78]));
  };
  data("1");
  control();
  data("2");
  wire.cork();
  data("3");
  control();
  data("4");
  wire.uncork();
  if (wire.pending > 0) throw new Error("a small write waits");
  const bulk = "x".repeat(BULK_BYTES);
  for (let bytes = 0; wire.pending === 0; bytes += BULK_BYTES) {
    if (bytes > MAX_BULK_BYTES) throw new Error("no write ever waits");
    data(bulk);
  }
  data("5");
  control();
  data("6");
  wire.close(4000, "x");
  expect(Buffer.from([0x88, 3, 0x0f, 0xa0, 0x78]));
  wire.write(oneFrame(textFrame("7")));
}

/** A connection that hands on what it reads and tells so with the event `bytes`. */
function connectPeer(port: number, take: (bytes: Uint8Array) => void): Socket {
  const socket: Socket = connect({
    host: "127.0.0.1",
    port,
    onread: {
      buffer: Buffer.allocUnsafe(64 * 1024),
      callback: (count, buffer) => {
        take(buffer.subarray(0, count));
        return socket.emit("bytes");
      },
    },
  });
  return socket.on("error", () => {});
}

/** The server's end of a WebSocket on `socket`. */
function upgrade(server: WebSocketServer, socket: Socket): WebSocket {
  const request = new IncomingMessage(socket);
  request.method = "GET";
  request.headers = {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
  };
  let made: WebSocket | undefined;
  server.handleUpgrade(request, socket, Buffer.alloc(0), (ws) => {
    ws.on("error", () => {});
    made = ws;
  });
  if (!made) throw new Error("no upgrade");
  return made;
}

/** A running hash of bytes that are too many to keep. */
class Digest {
  bytes = 0;
  readonly #hash = createHash("sha256");

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  value(): string {
    return this.#hash.digest("hex");
  }
}

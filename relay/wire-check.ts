/** Chooses the fastest wire that works with this version of Node and `ws`, by trying each. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { oneFrame } from "./batch.ts";
import { directWires } from "./direct-wire.ts";
import { textFrame } from "./frame.ts";
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

let best: Promise<WireKind> | undefined;

/** The fastest kind that works; tried once per process. */
export function bestWire(): Promise<WireKind> {
  best ??= (async () => {
    for (const kind of ["direct", "joined"] as const) {
      if (await wireWorks(kind)) return kind;
    }
    return "public";
  })();
  return best;
}

/** The longest wait for what was written, ms. */
const DEADLINE_MS = 5000;
const BULK_BYTES = 256 * 1024;
/** Far more than the kernel takes for a reader that does not read, bytes. */
const MAX_BULK_BYTES = 64 * 1024 * 1024;

/**
 * Whether everything reaches the other end of a loopback connection unchanged and in one order:
 * our frames, and what `ws` writes between them, with a reader that keeps up and one that does not.
 */
export async function wireWorks(kind: WireKind): Promise<boolean> {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  let client: Socket | undefined;
  let ws: WebSocket | undefined;
  try {
    const makeWire = wireFactory(kind);
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const pair = await connectedPair(server, signal);
    client = pair.client;
    ws = upgrade(sockets, pair.socket);
    await once(client, "data", { signal });
    client.pause();
    const expected = new Digest();
    const wire = makeWire(ws, pair.socket);
    let drained = false;
    wire.onDrain(() => {
      drained = true;
    });
    if (!writeAll(wire, expected.add)) return false;
    const actual = new Digest();
    client.on("data", actual.add).resume();
    while (actual.bytes < expected.bytes) await once(client, "data", { signal });
    // Whatever should not have been written comes now.
    ws.terminate();
    await once(client, "close", { signal });
    return drained && wire.pending === 0 && actual.value() === expected.value();
  } catch {
    return false;
  } finally {
    ws?.terminate();
    client?.destroy();
    sockets.close();
    server.close();
  }
}

/** Writes in every state of a wire. False when the wire never says that something is pending. */
function writeAll(wire: Wire, expect: (bytes: Buffer) => void): boolean {
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
  if (wire.pending > 0) return false;
  const bulk = "x".repeat(BULK_BYTES);
  for (let bytes = 0; wire.pending === 0; bytes += BULK_BYTES) {
    if (bytes > MAX_BULK_BYTES) return false;
    data(bulk);
  }
  data("5");
  control();
  data("6");
  wire.close(4000, "x");
  expect(Buffer.from([0x88, 3, 0x0f, 0xa0, 0x78]));
  wire.write(oneFrame(textFrame("7")));
  return true;
}

async function connectedPair(server: Server, signal: AbortSignal) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening", { signal });
  const accepted = once(server, "connection", { signal });
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("error", () => {});
  const [socket] = (await accepted) as [Socket];
  socket.on("error", () => {});
  return { client, socket };
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

  readonly add = (chunk: Buffer): void => {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  };

  value(): string {
    return this.#hash.digest("hex");
  }
}

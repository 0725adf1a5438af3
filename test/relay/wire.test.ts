/** The ways to the socket: what leaves, in which order, and the check that chooses one. */
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { Frames } from "../../relay/wire/frame.ts";
import { textFrame } from "../../relay/wire/frame.ts";
import type { Wire } from "../../relay/wire/wire.ts";
import {
  bestWire,
  chooseWire,
  type WireKind,
  wireFactory,
  wireProblem,
} from "../../relay/wire/wire-check.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A wire, and the raw bytes that arrive at the other end. */
async function pair(kind: WireKind) {
  const makeWire = wireFactory(kind);
  const http = createServer();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const made = new Promise<{ wire: Wire; socket: Socket }>((resolve) => {
    http.on("upgrade", (request, socket, head) => {
      server.handleUpgrade(request, socket, head, (ws) => {
        ws.on("error", () => {});
        resolve({ wire: makeWire(ws, socket), socket: socket as Socket });
      });
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  cleanups.push(() => new Promise((resolve) => http.close(resolve)));
  const client = connect((http.address() as AddressInfo).port, "127.0.0.1");
  cleanups.push(() => client.destroy());
  client.write(
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  const { wire, socket } = await made;
  cleanups.push(() => wire.destroy());
  await once(client, "data");
  const bytes: Buffer[] = [];
  client.on("data", (chunk) => bytes.push(chunk));
  return { wire, socket, client, received: () => Buffer.concat(bytes) };
}

function frames(...texts: string[]): Frames {
  const all = texts.map((text) => textFrame(text));
  return { frames: all, joined: Buffer.concat(all) };
}

describe.each(["direct", "joined", "public"] as const)("%s wire", (kind) => {
  it("keeps pings, pongs, data and the close in one order, and writes nothing after it", async () => {
    const { wire, client, received } = await pair(kind);
    wire.write(frames("1", "2"));
    wire.ping();
    wire.write(frames("3"));
    wire.pong(Buffer.from("x"));
    wire.write(frames("4", "5"));
    wire.close(4000, "x");
    wire.write(frames("6"));
    wire.ping();
    wire.pong(Buffer.alloc(0));
    expect(wire.open).toBe(false);
    // The client answers the close; the server then ends the connection.
    await vi.waitFor(() => expect(received().length).toBeGreaterThanOrEqual(25), 10_000);
    client.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    await once(client, "end");
    expect(received().toString("hex")).toBe(
      ["810131", "810132", "8900", "810133", "8a0178", "810134", "810135", "88030fa078"].join(""),
    );
  });

  it("counts what the kernel did not take, tells when it drained, and loses nothing", async () => {
    const { wire, client, received } = await pair(kind);
    client.pause();
    let drained = 0;
    wire.onDrain(() => drained++);
    const written: Buffer[] = [];
    while (wire.pending < 1_000_000) {
      const batch = frames(`${written.length} ${"x".repeat(100_000)}`);
      wire.write(batch);
      written.push(batch.joined);
    }
    wire.ping();
    written.push(Buffer.from([0x89, 0]));
    const expected = Buffer.concat(written);
    client.resume();
    await vi.waitFor(() => expect(received().length).toBe(expected.length), 20_000);
    expect(received().equals(expected)).toBe(true);
    await vi.waitFor(() => expect(wire.pending).toBe(0));
    expect(drained).toBeGreaterThan(0);
  });

  it.each(["the reader resets the connection", "it is destroyed"])(
    "gives up what waits when %s",
    async (end) => {
      const { wire, client, socket } = await pair(kind);
      client.pause();
      while (wire.pending < 1_000_000) wire.write(frames("x".repeat(100_000)));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      if (end === "it is destroyed") wire.destroy();
      else client.resetAndDestroy();
      await closed;
      await vi.waitFor(() => expect(wire.open).toBe(false));
      wire.write(frames("late"));
      await vi.waitFor(() => expect(wire.pending).toBe(0));
    },
  );

  it("does not throw once the other side is gone", async () => {
    const { wire, client, socket } = await pair(kind);
    client.destroy();
    await once(socket, "close");
    wire.write(frames("late"));
    wire.ping();
    wire.pong(Buffer.alloc(0));
    wire.close(4000, "late");
    wire.destroy();
    expect([wire.open, wire.pending]).toEqual([false, 0]);
  });
});

describe("the choice of a wire", () => {
  it("finds that this version of Node and ws allows the fastest", async () => {
    expect(await bestWire()).toEqual({ kind: "direct", problem: undefined });
    expect(await wireProblem("joined")).toBeUndefined();
    expect(await wireProblem("public")).toBeUndefined();
  });

  it.each([
    [
      "writes something else",
      () =>
        vi.spyOn(WebSocket.prototype, "ping").mockImplementation(function (this: WebSocket) {
          this.pong(Buffer.alloc(0));
        }),
      "other bytes arrive than were written",
    ],
    [
      "fails",
      () =>
        vi.spyOn(WebSocket.prototype, "close").mockImplementation(() => {
          throw new Error("changed");
        }),
      "changed",
    ],
  ])("finds out when ws %s", async (_what, change, problem) => {
    const changed = change();
    onTestFinished(() => changed.mockRestore());
    expect(await wireProblem("direct")).toBe(problem);
    expect(await chooseWire()).toEqual({ kind: "public", problem });
  });

  it("does without Node's binding where it is denied or has changed", async () => {
    const binding = vi.spyOn(process as unknown as { binding(name: string): object }, "binding");
    onTestFinished(() => binding.mockRestore());
    binding.mockImplementation(() => {
      throw new Error("denied");
    });
    expect(await chooseWire()).toEqual({ kind: "joined", problem: "denied" });
    binding.mockImplementation(() => ({}));
    const problem = "the stream_wrap binding has changed";
    expect(await chooseWire()).toEqual({ kind: "joined", problem });
  });
});

/** Requests that ask for another protocol: refused ones, strange ones, and peers that never leave. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, post, startTestRelay, until } from "./support.ts";

let relay: Relay;
afterEach(() => relay.close());

/** A peer that does not end its half of the connection by itself. */
function peer(text: string): { socket: Socket; received: () => string } {
  const socket = connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("error", () => {}).on("data", (chunk) => chunks.push(chunk));
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(text);
  return { socket, received: () => Buffer.concat(chunks).toString("latin1") };
}

const handshake = (target: string, ...headers: string[]) =>
  [
    `GET ${target} HTTP/1.1`,
    "Host: x",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...headers,
    "",
    "",
  ].join("\r\n");

const BODY = '{"channel":"public","payload":1}';
const H2C = [
  "POST /api/broadcast HTTP/1.1",
  "Host: x",
  "Connection: Upgrade, HTTP2-Settings",
  "Upgrade: h2c",
  "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
  `X-Api-Key: ${API_KEY}`,
  "Content-Type: application/json",
  `Content-Length: ${BODY.length}`,
  "",
  "",
].join("\r\n");

describe("a peer that is refused and never leaves", () => {
  it.each([
    ["another path", handshake("/x"), "HTTP/1.1 404"],
    ["another subprotocol", handshake("/ws", "Sec-WebSocket-Protocol: other"), "HTTP/1.1 400"],
    ["a strange origin", handshake("/ws", "Origin: https://evil.example"), "HTTP/1.1 101"],
  ])("does not keep its place: %s", async (_what, text, answer) => {
    relay = await startTestRelay();
    const { socket, received } = peer(text);
    await once(socket, "end");
    expect(received()).toContain(answer);
    // What it still writes meets a socket that is gone.
    const gone = new Promise((resolve) => socket.once("close", resolve));
    const writing = setInterval(() => socket.write("x"), 5);
    onTestFinished(() => clearInterval(writing));
    await gone;
  });

  it("does not hold up a stop", async () => {
    relay = await startTestRelay({ drain: { window: "100ms", grace: "1s" } });
    const peers = [handshake("/x"), handshake("/ws", "Origin: https://evil.example")].map(peer);
    await until("both to be answered", () => peers.every(({ received }) => received() !== ""));
    await relay.drain();
  });
});

describe("a request", () => {
  it("may name the target in absolute form", async () => {
    relay = await startTestRelay();
    const { received } = peer(handshake("http://relay.example/ws?channel=public"));
    await until("the upgrade", () => received().includes("HTTP/1.1 101"));
    await until("the subscription", async () => {
      return (await post(relay, { channel: "public" })).body.recipients === 1;
    });
  });

  it("that also asks for h2c is served as HTTP/1.1 where Node can, and told why where not", async () => {
    relay = await startTestRelay();
    const client = await Client.open(relay, "/ws?channel=public");
    const { received } = peer(`${H2C}${BODY}`);
    await until("an answer", () => received().includes("HTTP/1.1"));
    const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
    if (major > 24 || (major === 24 && minor >= 9) || (major === 22 && minor >= 21)) {
      await until("the message", () => received().includes('"ok":true'));
      expect(await client.next()).toMatchObject({ payload: 1 });
    } else {
      await until("the reason", () => received().endsWith("without the header Upgrade"));
      expect(received()).toContain("HTTP/1.1 400");
    }
  });
});

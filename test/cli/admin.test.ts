/** The admin listener answers only for its own names: no web page reaches it by DNS rebinding. */
import { once } from "node:events";
import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAdminServer } from "../../cli/service/admin.ts";

let server: ReturnType<typeof createAdminServer>;
const flooders: (string | undefined)[] = [];
beforeEach(async () => {
  flooders.length = 0;
  const options = {
    registry: new Registry(),
    readiness: () => [],
    hosts: ["rtm.internal", "::1"],
    onTooMany: (address: string | undefined) => flooders.push(address),
  };
  server = createAdminServer(options).listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  server.close();
});

async function ask(host: string): Promise<{ status: number | undefined; text: string }> {
  const { port } = server.address() as AddressInfo;
  const outgoing = request({ port, host: "127.0.0.1", path: "/metrics", headers: { host } }).end();
  const [response] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return { status: response.statusCode, text: Buffer.concat(pieces).toString() };
}

it.each([
  "127.0.0.1:3001",
  "10.0.0.7",
  "[::1]:3001",
  "localhost",
  "LocalHost:9",
  "rtm.internal:3001",
])("answers for %s", async (host) => {
  expect(await ask(host)).toMatchObject({ status: 200 });
});

it.each([
  "evil.example",
  "evil.example:3001",
  "127.0.0.1.evil.example",
  "localhost.evil.example",
  "rtm.internal.evil.example",
  "user@evil.example",
  "a b",
])("refuses %j, and says how to allow a name", async (host) => {
  expect(await ask(host)).toMatchObject({
    status: 421,
    text: expect.stringContaining("service.admin.hosts"),
  });
});

/** What a raw client gets until the listener ends its connection. */
async function raw(text: string): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket
    .on("error", () => {})
    .on("data", (data) => {
      received += data;
    });
  socket.write(text);
  await once(socket, "close");
  return received;
}

it("ends a connection that sends very many requests at once, and says so", async () => {
  const received = await raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20_000));
  expect(received.split("200 OK").length).toBeLessThan(1000);
  expect(flooders).toEqual(["127.0.0.1"]);
});

it("reads no body", async () => {
  const endless =
    "GET /healthz HTTP/1.1\r\nHost: x.y\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
  expect(await raw(endless.replace("x.y", "localhost"))).toMatch(/200 OK[\s\S]*Connection: close/);
});

it("keeps no socket whose client sends nothing", { timeout: 30_000 }, async () => {
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1").resume();
  await once(socket, "close");
});

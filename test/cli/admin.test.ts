/** The admin listener answers only for its own names: no web page reaches it by DNS rebinding. */
import { once } from "node:events";
import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAdminServer } from "../../cli/service/admin.ts";

let server: ReturnType<typeof createAdminServer>;
beforeEach(async () => {
  const options = { registry: new Registry(), readiness: () => [], hosts: ["rtm.internal", "::1"] };
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

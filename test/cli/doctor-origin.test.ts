/** What doctor says of proxies that do not pass Origin on. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import type { RtmConfig } from "../../cli/config.ts";
import { checkOrigin } from "../../cli/doctor/origin.ts";
import type { Finding } from "../../cli/doctor/report.ts";
import type { Relay } from "../../relay/relay.ts";
import { startTestRelay, testConfig } from "../relay/support.ts";

const OWN = "https://apex.example.com";
let relay: Relay;
let proxy: Server | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  proxy?.close();
  proxy = undefined;
  await relay.close();
});

/** A proxy that changes the lines of a handshake; without Upgrade it is a request like any other. */
async function proxied(change: (line: string) => string | undefined): Promise<string> {
  proxy = createServer();
  proxy.on("upgrade", (request, client: Socket) => {
    const upstream = connect(relay.port, "127.0.0.1");
    sockets.push(client, upstream);
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      const line = change(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      if (line !== undefined) lines.push(line);
    }
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    client.on("error", () => {}).pipe(upstream);
    upstream.on("error", () => {}).pipe(client);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

async function findings(
  change: (line: string) => string | undefined,
  overrides: object = { origins: [OWN] },
): Promise<Record<string, Finding>> {
  relay = await startTestRelay(overrides);
  const found: Record<string, Finding> = {};
  const config = { relay: testConfig(overrides) } as RtmConfig;
  await checkOrigin(config, await proxied(change), (finding) => {
    found[finding.check] = finding;
  });
  return found;
}

it("finds nothing where all is passed on", async () => {
  expect(await findings((line) => line)).toMatchObject({
    Origin: { verdict: "ok" },
  });
});

it("finds that everybody gets in where Origin is stripped", async () => {
  expect(await findings((line) => (/^origin:/i.test(line) ? undefined : line))).toMatchObject({
    Origin: { verdict: "warning", fix: expect.stringContaining("docs/security.md") },
  });
});

it("finds that nobody gets in where Origin is set to another one", async () => {
  const set = (line: string) => (/^origin:/i.test(line) ? "Origin: https://proxy.example" : line);
  expect(await findings(set)).toEqual({
    Origin: expect.objectContaining({
      verdict: "FAILED",
      detail: expect.stringContaining(`a page of ${OWN} is refused`),
    }),
  });
});

it("does not check origins where all are allowed", async () => {
  expect(await findings((line) => line, { origins: ["*"] })).toEqual({});
});

/** The service's admin listener: metrics and reasons, from the first moment on. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";

const services: Service[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop();
});

const lines: string[] = [];
const log = createLogger("info", { write: (line) => lines.push(line) });

async function startRelayOnly(more: { service?: object; relay?: object } = {}): Promise<Service> {
  const config = parseConfig(rtmConfig, {
    service: { admin: { port: 0 }, ...more.service },
    relay: { port: 0, insecure: true, drain: { window: "0s" }, ...more.relay },
  });
  const service = await startService({ config, roles: { worker: false, relay: true }, log });
  services.push(service);
  return service;
}

const get = (port: number | undefined, path: string) => fetch(`http://127.0.0.1:${port}${path}`);

it("serves metrics, liveness, and readiness with reasons and warnings", async () => {
  const { adminPort, relay } = await startRelayOnly();
  const metrics = await get(adminPort, "/metrics");
  expect(metrics.headers.get("content-type")).toContain("text/plain");
  expect(await metrics.text()).toContain("rtm_relay_connections 0");
  expect((await get(adminPort, "/healthz")).status).toBe(200);
  const ready = await get(adminPort, "/readyz");
  const insecure = { code: "insecure", message: "the relay runs without authorization" };
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { ready: true, reasons: [], warnings: [insecure] },
  ]);
  relay!.setServing(false, { detail: "node b holds the lease" });
  const standby = await get(adminPort, "/readyz");
  expect([standby.status, await standby.json()]).toEqual([
    503,
    {
      ready: false,
      reasons: [{ code: "standby", message: "node b holds the lease" }],
      warnings: [insecure],
    },
  ]);
});

it("is off when the configuration says so", async () => {
  const { adminPort } = await startRelayOnly({ service: { admin: { enabled: false } } });
  expect(adminPort).toBeUndefined();
});

it("names its key when its port is taken", async () => {
  const other = createServer();
  other.listen({ host: "127.0.0.1", port: 0 });
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  await expect(startRelayOnly({ service: { admin: { port } } })).rejects.toMatchObject({
    code: "RTM_LISTEN",
    message: expect.stringContaining("service.admin.port"),
  });
  other.close();
});

it("is closed again when the relay cannot start", async () => {
  const first = await startRelayOnly();
  lines.length = 0;
  const taken = startRelayOnly({ relay: { port: first.relay!.port } });
  await expect(taken).rejects.toThrow("relay.port");
  const listened = lines
    .map((line) => JSON.parse(line))
    .find(({ msg }) => msg === "admin listener");
  await expect(get(listened.adminPort, "/healthz")).rejects.toThrow();
});

/** The admin listener: `/metrics` and the details of `/readyz`. On loopback, never proxied. */
import { createServer, type Server } from "node:http";
import express from "express";
import type { Registry } from "prom-client";
import type { ReadinessReason } from "../../relay/serving.ts";

export interface AdminOptions {
  readonly registry: Registry;
  readonly readiness: () => readonly ReadinessReason[];
}

export function createAdminServer({ registry, readiness }: AdminOptions): Server {
  const app = express();
  app.disable("x-powered-by");
  app.get("/metrics", async (_request, response) => {
    response.set("content-type", registry.contentType).send(await registry.metrics());
  });
  app.get("/healthz", (_request, response) => {
    response.type("text/plain").send("ok");
  });
  app.get("/readyz", (_request, response) => {
    const all = readiness();
    const describe = (blocking: boolean) =>
      all
        .filter((reason) => reason.blocking === blocking)
        .map(({ code, message }) => ({ code, message }));
    const reasons = describe(true);
    const ready = reasons.length === 0;
    response.status(ready ? 200 : 503).json({ ready, reasons, warnings: describe(false) });
  });
  return createServer(app);
}

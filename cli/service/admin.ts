/** The admin listener: `/metrics`, the details of `/readyz`, and the console. On loopback, never proxied. */
import { createServer, type Server } from "node:http";
import { isIP } from "node:net";
import express, { type Router } from "express";
import type { Registry } from "prom-client";
import { endAfterBody, pipelineLimit } from "../../relay/http/request-bounds.ts";
import type { ReadinessReason } from "../../relay/node/serving.ts";
import { collectProcessMetrics } from "./metrics.ts";

/** There are few sockets: whoever sends nothing must not keep one for long. ms */
const TIMEOUTS = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
};

export interface AdminOptions {
  /** Names, beside localhost and addresses, that a request may be for. */
  readonly hosts?: readonly string[];
  readonly registry: Registry;
  readonly readiness: () => readonly ReadinessReason[];
  /** What is served below `/console`. */
  readonly console?: Router | undefined;
  /** Told the address of a client whose connection was ended for too many requests at once. */
  readonly onTooMany?: (address: string | undefined) => void;
}

/**
 * Whether a request is for us. A strange web page may reach a listener on loopback by a name of its
 * own that it points to 127.0.0.1 (DNS rebinding); it needs a name for that, so addresses are safe.
 */
export function isOurHost(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined || !URL.canParse(`http://${header}`)) return false;
  const { hostname, host } = new URL(`http://${header}`);
  if (hostname === "" || host === "") return false;
  const name = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  return (
    isIP(name) !== 0 || name === "localhost" || names.some((own) => own.toLowerCase() === name)
  );
}

export function createAdminServer(options: AdminOptions): Server {
  const { registry, readiness, hosts = [], console, onTooMany } = options;
  const app = express();
  app.disable("x-powered-by");
  app.use((request, response, next) => {
    if (isOurHost(request.headers.host, hosts)) return next();
    const text = "This name is none of the admin listener's: add it to service.admin.hosts.";
    response.status(421).type("text/plain").send(text);
  });
  let scraped = false;
  app.get("/metrics", async (_request, response) => {
    if (!scraped) collectProcessMetrics(registry);
    scraped = true;
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
  if (console) {
    app.use("/console", console);
    app.get("/", (_request, response) => response.redirect("/console/"));
  }
  const mayAnswer = pipelineLimit(({ socket }) => onTooMany?.(socket.remoteAddress));
  return createServer(TIMEOUTS, (request, response) => {
    if (!mayAnswer(request)) return;
    endAfterBody(request, response);
    app(request, response);
  });
}

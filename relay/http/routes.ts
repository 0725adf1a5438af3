/** The relay's routes (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener } from "node:http";
import type express from "express";
import type { Express, Request, Response } from "express";
import type { Clients } from "../clients/clients.ts";

/** How the published predecessor answers `GET /`. */
const HEALTH_TEXT = "RTM WebSocket / REST bridge is running";
const TEXTS: Readonly<Record<number, string>> = { 400: "bad request", 404: "not found" };
const BROADCAST = "/api/broadcast";

/** Adds the routes. */
export function addRestRoutes(
  app: Express,
  {
    broadcast,
    lookups,
    isReady,
  }: {
    broadcast: RequestListener;
    /** By path. */
    lookups: ReadonlyMap<string, RequestListener>;
    isReady: () => boolean;
  },
): void {
  app.get("/", (_request, response) => {
    response.type("text/plain").send(HEALTH_TEXT);
  });
  app.get("/healthz", (_request, response) => {
    response.type("text/plain").send("ok");
  });
  app.get("/readyz", (_request, response) => {
    const ready = isReady();
    response.status(ready ? 200 : 503).json({ ready });
  });
  app.post(BROADCAST, broadcast);
  for (const [path, lookup] of lookups) app.get(path, lookup);
}

/**
 * Whether a request can go to the broadcast handler without express, which costs more than the rest
 * of a POST. Other spellings of the path go the long way.
 */
export function isBroadcast({ method, url }: IncomingMessage): boolean {
  return url === BROADCAST && method === "POST";
}

/** The last routes: what nobody answered, and errors of express itself. */
export function addFallbacks(app: Express, clients: Clients): void {
  const refuse = (reason: string, status: number, request: Request, response: Response): void => {
    const exhausted = clients.requestRefused(reason, request);
    if (response.headersSent) return;
    if (exhausted) response.set({ "retry-after": "10", connection: "close" });
    const text = exhausted
      ? "too many requests of this address were refused lately"
      : TEXTS[status];
    response
      .status(exhausted ? 429 : status)
      .type("text/plain")
      .send(text);
  };
  app.use((request, response) => refuse("path", 404, request, response));
  app.use(
    (error: unknown, request: Request, response: Response, _next: express.NextFunction): void => {
      clients.warnings.warn("request failed", { err: error }, "request failed");
      refuse("request", 400, request, response);
    },
  );
}

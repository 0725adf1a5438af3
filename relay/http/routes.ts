/** The relay's routes (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener } from "node:http";
import type express from "express";
import type { Express, Request, Response } from "express";
import type { Clients } from "../clients/clients.ts";

/** How the published predecessor answers `GET /`. */
const HEALTH_TEXT = "RTM WebSocket / REST bridge is running";
const BROADCAST = "/api/broadcast";

/** Adds the routes. */
export function addRestRoutes(
  app: Express,
  { broadcast, isReady }: { broadcast: RequestListener; isReady: () => boolean },
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
  app.use((_request, response) => {
    response.status(404).type("text/plain").send("not found");
  });
  app.use(
    (error: unknown, _request: Request, response: Response, _next: express.NextFunction): void => {
      clients.log.warn({ err: error }, "request failed");
      if (!response.headersSent) response.status(400).type("text/plain").send("bad request");
    },
  );
}

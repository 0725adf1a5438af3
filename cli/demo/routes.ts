/** What the demo's page asks for. */
import { fileURLToPath } from "node:url";
import express, { type Application, type NextFunction, type Request, type Response } from "express";
import type { Logger } from "../../common/logger.ts";
import { VERSION } from "../version.ts";
import type { DemoAccess } from "./access.ts";
import type { Producer } from "./producer.ts";
import type { Shop } from "./shop.ts";
import { Visitors } from "./visitors.ts";

/** Rows of the burst button. */
export const BURST = 1000;
const PAGE = fileURLToPath(new URL("./page/", import.meta.url));

/** The page is clean: no inline script, no inline style. */
const POLICY =
  "default-src 'self'; img-src data:; connect-src 'self'; object-src 'none'; base-uri 'none'";

export interface DemoRoutes {
  readonly shop: Shop;
  readonly producer: Producer;
  readonly access: DemoAccess;
  readonly log: Logger;
  /** Nodes and engine, where there are several; may be killed by name. */
  readonly cluster?: {
    state(): Promise<object>;
    kill(name: string): boolean;
  };
}

export function mountDemo(app: Application, routes: DemoRoutes): void {
  const { shop, producer, log, cluster } = routes;
  const page = express.Router();
  page.use((request, response, next) => {
    response.set({ "content-security-policy": POLICY, "cache-control": "no-store" });
    // Browsers say whose page asks: the buttons are not for those of others.
    const foreign = request.method === "POST" && request.headers["sec-fetch-site"] === "cross-site";
    if (foreign) response.status(403).json({ ok: false, code: "cross_site" });
    else next();
  });
  const answer = (response: Response, work: Promise<object>) =>
    work.then(
      (body) => response.json(body),
      (error) => {
        log.warn({ err: error }, "demo request failed");
        response.status(500).json({ ok: false });
      },
    );
  page.post("/insert", (_request, response) => answer(response, producer.transaction(1, true)));
  page.post("/rollback", (_request, response) => answer(response, producer.transaction(1, false)));
  page.post("/burst", (_request, response) => answer(response, producer.transaction(BURST, true)));
  page.post("/feed/:state", (request, response) => {
    producer.feed(request.params.state === "on", (error) =>
      log.warn({ err: error }, "demo feed failed"),
    );
    response.json({ feeding: producer.feeding });
  });
  page.get("/commits", (_request, response) => {
    response.json({ commits: producer.commits });
  });
  page.get("/state", (_request, response) => {
    const { orders, revenue, rolledBack, orderIds } = shop;
    response.json({
      version: VERSION,
      orders,
      revenue,
      rolledBack,
      feeding: producer.feeding,
      orderIds,
      cluster: cluster !== undefined,
    });
  });
  addVisits(page, routes, answer);
  if (cluster) {
    page.get("/cluster", (_request, response) => answer(response, cluster.state()));
    page.post("/kill/:name", (request, response) => {
      response.json({ ok: cluster.kill(request.params.name) });
    });
  }
  page.use(express.static(PAGE));
  app.use("/demo", page);
}

/** Tokens for whoever opens the page, and their end. */
function addVisits(
  page: express.Router,
  { access }: DemoRoutes,
  answer: (response: Response, work: Promise<object>) => void,
): void {
  const visitors = new Visitors();
  // JSON only: a page of another host cannot send it.
  page.post("/visit", express.json({ limit: "4kb" }), ({ body }: Request, response) => {
    if (!body) {
      response.status(415).json({ ok: false, code: "not_json" });
      return;
    }
    const { pass, user, name, ended } = visitors.enter(body);
    if (ended) response.status(403).json({ ok: false, code: "signed_out" });
    else response.json({ pass, user, name, token: access.token(user, name) });
  });
  page.use(
    "/visit",
    (_error: unknown, _request: Request, response: Response, _next: NextFunction) => {
      response.status(400).json({ ok: false, code: "bad_request" });
    },
  );
  page.post("/sign-out/:user", (request, response) => {
    const { user } = request.params;
    // First the session, then what it was given: nothing is minted in between.
    const known = visitors.signOut(user);
    const work = known ? access.revoke(user, request.socket.localPort!) : Promise.resolve();
    answer(
      response,
      work.then(() => ({ ok: known })),
    );
  });
}

/** What the demo's page asks for. */
import { fileURLToPath } from "node:url";
import express, { type Application, type Response } from "express";
import type { Logger } from "../../common/logger.ts";
import { VERSION } from "../version.ts";
import type { Producer } from "./producer.ts";
import type { Shop } from "./shop.ts";

/** Rows of the burst button. */
export const BURST = 1000;
const PAGE = fileURLToPath(new URL("./page/", import.meta.url));

/** The page is clean: no inline script, no inline style. */
const POLICY =
  "default-src 'self'; img-src data:; connect-src 'self'; object-src 'none'; base-uri 'none'";

export interface DemoRoutes {
  readonly shop: Shop;
  readonly producer: Producer;
  readonly log: Logger;
  /** Nodes and engine, where there are several; may be killed by name. */
  readonly cluster?: {
    state(): Promise<object>;
    kill(name: string): boolean;
  };
}

export function mountDemo(app: Application, { shop, producer, log, cluster }: DemoRoutes): void {
  const page = express.Router();
  page.use((_request, response, next) => {
    response.set({ "content-security-policy": POLICY, "cache-control": "no-store" });
    next();
  });
  const answer = (response: Response, work: Promise<object>) =>
    work.then(
      (body) => response.json(body),
      (error) => {
        log.warn({ err: error }, "demo transaction failed");
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
  if (cluster) {
    page.get("/cluster", (_request, response) => answer(response, cluster.state()));
    page.post("/kill/:name", (request, response) => {
      response.json({ ok: cluster.kill(request.params.name) });
    });
  }
  page.use(express.static(PAGE));
  app.use("/demo", page);
}

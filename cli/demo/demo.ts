/** `rtm demo`: emulator, worker and relay in their real composition, and one page. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import express, { type Application, type Response } from "express";
import { parseConfig } from "../../common/config.ts";
import { RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { RtmSchema, startEmulator } from "../../emulator/index.ts";
import { rtmConfig } from "../config.ts";
import { CommandError } from "../exit.ts";
import { ROLES } from "../service/roles.ts";
import { type Service, startService } from "../service/service.ts";
import { VERSION } from "../version.ts";
import { Producer } from "./producer.ts";
import { Shop } from "./shop.ts";

/** Rows of the burst button. */
const BURST = 1000;
const PAGE = fileURLToPath(new URL("./page/", import.meta.url));

/** The page is clean: no inline script, no inline style. */
const POLICY =
  "default-src 'self'; img-src data:; connect-src 'self'; object-src 'none'; base-uri 'none'";

export interface Demo {
  /** Where the page is. */
  readonly url: string;
  readonly service: Service;
  stop(): Promise<void>;
}

export interface DemoOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  readonly profile: "19c" | "23ai";
  /** Whether orders are committed from the start without a button. */
  readonly feed: boolean;
  readonly log: Logger;
}

export async function startDemo({ port, profile, feed, log }: DemoOptions): Promise<Demo> {
  const password = randomBytes(16).toString("hex");
  const stateDirectory = await mkdtemp(join(tmpdir(), "rtm-demo-"));
  const emulator = await startEmulator({ profile, users: { RTM: password } });
  const schema = new RtmSchema(emulator);
  const shop = new Shop(emulator, schema);
  const { connectString } = emulator;
  const config = parseConfig(rtmConfig, {
    service: { admin: { port: 0 }, stateDirectory },
    database: { connectString, user: "RTM", password },
    worker: { receipts: true },
    relay: {
      port,
      insecure: true,
      drain: { window: "0s" },
      // A page that opens just after a burst gets all of it.
      history: { count: 5 * BURST },
    },
  });
  const producer = await Producer.open(connectString, "RTM", password);
  const release = async () => {
    await emulator.close();
    await rm(stateDirectory, { recursive: true, force: true });
  };
  const service = await startService({
    config,
    roles: ROLES.serve,
    log,
    extend: (app) => mountDemo(app, shop, producer, log),
  }).catch(async (error: unknown) => {
    await producer.close();
    await release();
    throw error instanceof RtmError && error.code === "RTM_LISTEN"
      ? new CommandError(`${error.message}; choose another port: npm run demo -- --port 0`, {
          cause: error,
        })
      : error;
  });
  if (feed) producer.feed(true, (error) => log.warn({ err: error }, "demo feed failed"));
  return {
    url: `http://127.0.0.1:${service.relay!.port}/demo/`,
    service,
    stop: async () => {
      await producer.close();
      await service.stop();
      await release();
    },
  };
}

function mountDemo(app: Application, shop: Shop, producer: Producer, log: Logger): void {
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
    });
  });
  page.use(express.static(PAGE));
  app.use("/demo", page);
}

/** `rtm demo`: emulator, worker and relay in their real composition, and one page. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../common/config.ts";
import { RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { RtmSchema, startEmulator } from "../../emulator/index.ts";
import { rtmConfig } from "../config.ts";
import { CommandError } from "../exit.ts";
import { ROLES } from "../roles.ts";
import { startService } from "../service/service.ts";
import { DemoAccess } from "./access.ts";
import { startCluster } from "./cluster.ts";
import { Producer } from "./producer.ts";
import { BURST, mountDemo } from "./routes.ts";
import { Shop } from "./shop.ts";

/** Where a node's console is. */
export interface NodeConsole {
  /** Undefined where there is only one. */
  readonly node?: string;
  readonly url: string;
}

export interface Demo {
  /** Where the page is. */
  readonly url: string;
  /** Of every node. */
  readonly consoles: readonly NodeConsole[];
  /** Holds the key for the command line. */
  readonly keyFile: string;
  /** Settles when the worker in this process has ended; never with several nodes. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

export interface DemoOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  readonly profile: "19c" | "23ai";
  /** Whether orders are committed from the start without a button. */
  readonly feed: boolean;
  /** 1: worker and relay in this process. More: processes of their own, which share a log. */
  readonly nodes: number;
  readonly log: Logger;
}

/** What serves the pages. */
interface Serving {
  readonly port: number;
  readonly consoles: readonly NodeConsole[];
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** @param port of the admin listener */
function consoleOf(port: number): string {
  return `http://127.0.0.1:${port}/console/`;
}

/** @throws {CommandError} the port is taken, or an engine is missing */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { port, profile, feed, nodes, log } = options;
  const password = randomBytes(16).toString("hex");
  const directory = await mkdtemp(join(tmpdir(), "rtm-demo-"));
  const emulator = await startEmulator({ profile, users: { RTM: password } });
  const schema = new RtmSchema(emulator);
  const shop = new Shop(emulator, schema);
  const access = new DemoAccess(directory);
  const { connectString } = emulator;
  const config = {
    log: { level: log.level },
    service: { admin: { port: 0 }, stateDirectory: directory },
    database: { connectString, user: "RTM", password },
    worker: { receipts: true },
    relay: {
      port,
      ...access.config,
      drain: { window: "0s" },
      // A page that opens just after a burst gets all of it.
      history: { count: 5 * BURST },
    },
  };
  const producer = await Producer.open(connectString, "RTM", password);
  const release = async () => {
    await emulator.close();
    await rm(directory, { recursive: true, force: true });
  };
  const one = async (): Promise<Serving> => {
    const service = await startService({
      config: parseConfig(rtmConfig, config),
      roles: ROLES.serve,
      log,
      extend: (app) => mountDemo(app, { shop, producer, access, log }),
    });
    const { relay, adminPort, done } = service;
    const consoles = [{ url: consoleOf(adminPort!) }];
    return { port: relay!.port, consoles, done, stop: () => service.stop() };
  };
  const several = async (): Promise<Serving> => {
    const cluster = await startCluster({
      nodes,
      port,
      directory,
      config,
      extend: (app, cluster) => mountDemo(app, { shop, producer, access, log, cluster }),
    });
    const consoles = cluster.admin.map(({ node, port }) => ({ node, url: consoleOf(port) }));
    return { ...cluster, consoles, done: new Promise(() => {}) };
  };
  const serving = await (nodes === 1 ? one() : several()).catch(async (error: unknown) => {
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
    url: `http://127.0.0.1:${serving.port}/demo/`,
    consoles: serving.consoles,
    keyFile: access.keyFile,
    done: serving.done,
    stop: async () => {
      await producer.close();
      await serving.stop();
      await release();
    },
  };
}

/** The whole path with three nodes: database, workers, one engine, pages that move by themselves. */
import { afterEach, beforeEach, describe, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { expectWholePages, type MovingPage, movingPages } from "../support/pages.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { log, World } from "../worker/support.ts";

const PATIENCE = 60_000;

describe.skipIf(ENGINE_MISSING !== "")(`three nodes on one log${ENGINE_MISSING}`, () => {
  let world: World;
  let engine: RedisServer;
  let nodes: Service[];

  beforeEach(async () => {
    world = await World.start();
    nodes = [];
  });
  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await world[Symbol.asyncDispose]();
  });

  async function start(): Promise<Service> {
    const config = parseConfig(rtmConfig, {
      database: { ...world.database, callGrace: "1s" },
      worker: { sideInterval: "1s", queues: [{ name: "RTM_QUEUE", wait: "1s" }] },
      service: { admin: { port: 0 } },
      relay: {
        port: 0,
        insecure: true,
        drain: { window: "0s", grace: "100ms" },
        log: { kind: "valkey", url: engine.url },
      },
    });
    const node = await startService({ config, roles: { worker: true, relay: true }, log });
    await until("the node is ready", () => !node.readiness().some(({ blocking }) => blocking));
    nodes.push(node);
    return node;
  }

  async function cluster() {
    engine = await RedisServer.start();
    for (let n = 0; n < 3; n++) await start();
    const pages = movingPages(4, "sales", () => nodes.map(({ relay }) => relay?.port));
    await until("every page is subscribed", () => pages.every((each) => each.refreshes() === 1));
    return pages;
  }

  async function expectAll(pages: readonly MovingPage[], count: number): Promise<void> {
    await until(
      `every page has ${count} messages`,
      () => pages.every(({ client }) => client.stream.length >= count),
      PATIENCE,
    );
    expectWholePages(pages, count);
  }

  it("log-rolling-restart: no page is told to refresh, and each gets everything once", {
    timeout: 2 * PATIENCE,
  }, async () => {
    const pages = await cluster();
    let sent = 0;
    const publish = async (count: number) => {
      await world.publish(sent + 1, sent + count);
      sent += count;
    };
    for (let round = 0; round < 3; round++) {
      await publish(5);
      const node = nodes.shift() as Service;
      const stopping = node.stop();
      await publish(5);
      await stopping;
      await start();
      await publish(5);
    }
    await expectAll(pages, sent);
  });

  it("log-takeover: the leader's session dies, another node leads, and the epoch stays", {
    timeout: 2 * PATIENCE,
  }, async () => {
    const pages = await cluster();
    await world.publish(1, 5);
    await expectAll(pages, 5);
    for (const fault of ["before-commit", "answer"] as const) {
      const call = fault === "answer" ? { call: "commit" as const } : {};
      world.emulator.faults.inject({
        at: fault,
        do: "kill",
        times: 1,
        session: ({ action }) => action.startsWith("dequeue"),
        ...call,
      });
      const from = fault === "answer" ? 11 : 6;
      await world.publish(from, from + 4);
    }
    await expectAll(pages, 15);
  });
});

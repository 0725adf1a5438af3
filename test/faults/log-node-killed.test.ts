/** Three `rtm serve` processes on one log; one after the other is killed with `kill -9` under load. */
import { describe, expect, it, onTestFinished } from "vitest";
import { expectWholePages, movingPages } from "../support/pages.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";
import { type ServeProcess, serveProcess } from "./serve-process.ts";

const PATIENCE = 120_000;

describe.skipIf(ENGINE_MISSING !== "")(`a node is killed${ENGINE_MISSING}`, () => {
  it("log-node-killed: its pages move, miss nothing and refresh nothing, also when it led", {
    timeout: 4 * PATIENCE,
  }, async () => {
    const world = await World.start();
    onTestFinished(() => world[Symbol.asyncDispose]());
    const engine = await RedisServer.start();
    const nodes: ServeProcess[] = [];
    const start = async () => {
      const env = { RTM_RELAY_LOG_KIND: "valkey", RTM_RELAY_LOG_URL: engine.url };
      const node = await serveProcess(world, env, PATIENCE);
      const ready = async () => (await node.ready()).status === 200;
      await until("the node is ready", ready, PATIENCE);
      nodes.push(node);
    };
    for (let n = 0; n < 3; n++) await start();
    const leads = (wanted: boolean) => async () => {
      for (const node of nodes) if ((await node.leads()) === wanted) return node;
      return undefined;
    };
    const pages = movingPages(9, "sales", () => nodes.map(({ port }) => port));
    await until("every page is there", () => pages.every((page) => page.refreshes() === 1));
    let sent = 0;
    const publish = async (count: number) => {
      await world.publish(sent + 1, sent + count);
      sent += count;
    };
    for (const wanted of [false, true, true]) {
      await until("a node leads", async () => (await leads(true)()) !== undefined, PATIENCE);
      const victim = (await leads(wanted)()) as ServeProcess;
      await publish(20);
      // In the middle of it: the queue gives the batch in hand to the next one.
      const publishing = publish(50);
      victim.process.kill("SIGKILL");
      expect(await victim.process.exited).toBeNull();
      await publishing;
      await publish(20);
      nodes.splice(nodes.indexOf(victim), 1);
      await start();
    }
    await until(
      "every page has everything",
      () => pages.every(({ client }) => client.stream.length >= sent),
      PATIENCE,
    );
    expectWholePages(pages, sent);
  });
});

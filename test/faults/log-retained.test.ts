/** Last values while nodes and the engine are killed: what a page has seen is never followed by something older unsaid. */
import { describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { relayFor } from "../relay/publish-support.ts";
import { Client, DEADLINE_MS, type Frame, message, SOURCE, until } from "../relay/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";

const AOF = ["--appendonly", "yes", "--appendfsync"];

const nodeOn = (engine: RedisServer) =>
  relayFor({
    publicChannels: ["c"],
    // Pages that were away for long have to ask for the last value.
    history: { count: 4 },
    log: { kind: "valkey", url: engine.url, grace: "60s" },
  });

/** Connects until it is answered: a node that cannot know yet closes with 4000, and the page comes back. */
async function answered(relay: Relay, connect: object): Promise<[Client, Frame]> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const client = await Client.connect(relay, connect);
    await until("an answer", () => client.received.length >= 2 || client.closed !== undefined);
    if (client.closed === undefined || client.received.length >= 2) {
      const [, answer] = (await client.nextN(2)) as [Frame, Frame];
      return [client, answer];
    }
    expect(client.closed.code).toBe(4000);
    if (performance.now() > deadline) throw new Error("closed again and again");
  }
}

/** A page that goes from node to node with its position, and always wants the newest value. */
class Page {
  epoch: string | undefined;
  #seq = 0;
  /** What it has is older than what it had, and it was told. */
  #told = false;
  /** The newest value that it was given. */
  newest = 0;
  /** The answers in which it was given nothing, or something older. */
  readonly steps: Frame[] = [];

  async look(relay: Relay): Promise<Frame> {
    const since = { last: 1, ...(this.epoch ? { epoch: this.epoch, seq: this.#seq } : {}) };
    const subscribe = [{ channel: "c", events: ["temp"], since }];
    const [client, answer] = await answered(relay, { subscribe });
    const last = answer.last as { sent: number } | undefined;
    const count = answer.recovered ? (answer.seq as number) - this.#seq : (last?.sent ?? 0);
    const values = (await client.nextN(count)).map(({ payload }) => payload as number);
    client.terminate();
    if (answer.recovered) {
      expect(values).toEqual(values.map((_, n) => (values[0] as number) + n));
      if (this.#told) expect(values[0] ?? this.newest + 1).toBeGreaterThan(this.newest);
      else expect(values[0] ?? this.newest + 1).toBe(this.newest + 1);
      if (values.length > 0) this.#told = false;
    } else {
      expect(values.length).toBeLessThanOrEqual(1);
      // In one epoch nothing that was accepted gets lost.
      if (answer.epoch === this.epoch) expect(values[0]).toBeGreaterThanOrEqual(this.newest);
      if ((values[0] ?? 0) < this.newest) {
        this.steps.push(answer);
        this.#told = true;
      }
    }
    this.newest = values.at(-1) ?? (answer.recovered ? this.newest : 0);
    this.epoch = answer.epoch as string;
    this.#seq = answer.seq as number;
    return answer;
  }
}

/** Says the next value, through one node or another, until it is accepted. */
class Writer {
  value = 0;

  async write(relays: readonly Relay[], times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      const relay = relays[n % relays.length] as Relay;
      const said = message("c", ++this.value, { eventName: "temp", retain: 3600 });
      await until("the value is accepted", async () => {
        const [result] = await relay.publisher.publish([said], SOURCE);
        return result?.status === "accepted";
      });
    }
  }
}

describe.skipIf(ENGINE_MISSING !== "")(`last values over kills${ENGINE_MISSING}`, () => {
  it("log-retained-node-killed: pages that move on get the newest, whichever node they come to", async () => {
    const engine = await RedisServer.start();
    const nodes = [await nodeOn(engine), await nodeOn(engine), await nodeOn(engine)];
    const [writer, page, late] = [new Writer(), new Page(), new Page()];
    for (let round = 0; round < 9; round++) {
      // Now less and now more than the history holds.
      await writer.write(nodes, round % 3 === 2 ? 7 : 2);
      await page.look(nodes[round % 3] as Relay);
      if (round % 3 === 2) {
        await late.look(nodes[(round + 1) % 3] as Relay);
        await nodes[round % 3]?.close();
        nodes[round % 3] = await nodeOn(engine);
        await page.look(nodes[round % 3] as Relay);
        expect(page.newest).toBe(writer.value);
      }
    }
    expect([...page.steps, ...late.steps]).toEqual([]);
  });

  it.each([
    { how: "with everything on its disk", args: [...AOF, "always"], cut: 0 },
    { how: "with its end cut off", args: [...AOF, "everysec"], cut: 1500 },
    { how: "without a file", args: [], cut: 0 },
  ])(
    "log-retained-engine-killed $how: what is older comes only with a new epoch, and never as complete",
    async ({ args, cut }) => {
      const engine = await RedisServer.start(...args);
      const nodes = [await nodeOn(engine), await nodeOn(engine)] as const;
      const [writer, ...pages] = [new Writer(), new Page(), new Page()] as const;
      await writer.write(nodes, 12);
      for (const [n, page] of pages.entries()) {
        await until("it has the newest", async () => {
          await page.look(nodes[n] as Relay);
          return page.newest === writer.value;
        });
      }
      const { epoch } = pages[0];
      await engine.kill();
      if (cut > 0) engine.cutTail(cut);
      await engine.restart();
      for (const [n, page] of pages.entries()) {
        const before = page.newest;
        let answer: Frame | undefined;
        // Each comes to the other node.
        await until("a new epoch", async () => {
          answer = await page.look(nodes[1 - n] as Relay);
          return answer.epoch !== epoch;
        });
        expect(answer).toMatchObject({ recovered: false, last: { complete: false } });
        if (cut > 0) expect(page.newest).toBeLessThan(before);
        else expect(page.newest).toBe(args.length > 0 ? before : 0);
      }
      await writer.write(nodes, 3);
      for (const page of pages) {
        for (const node of nodes) {
          await until("the newest again", async () => {
            await page.look(node);
            return page.newest === writer.value;
          });
        }
        // Said once: with the new epoch.
        expect(page.steps.length).toBeLessThanOrEqual(1);
      }
      const late = new Page();
      expect(await late.look(await nodeOn(engine))).toMatchObject({ last: { sent: 1 } });
      expect(late.newest).toBe(writer.value);
    },
  );
});

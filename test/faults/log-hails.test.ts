/** Events of clients between nodes (relay/log/valkey/hails.ts) in a flood, and on lines that break. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { pino } from "pino";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CONNECT_MS } from "../../relay/log/valkey/connection.ts";
import { RECONNECT } from "../../relay/log/valkey/follower.ts";
import { Hails } from "../../relay/log/valkey/hails.ts";
import { messages } from "../log-contract/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { logNode, PATIENCE, proxyTo, SOURCE, urlOf } from "./log-support.ts";

interface Node {
  readonly hails: Hails;
  readonly heard: string[];
}

function startHails(url: string, beatMs?: number): Node {
  const heard: string[] = [];
  const hails = new Hails({
    address: { url: () => url },
    prefix: "rtm",
    log: pino({ level: "silent" }),
    onText: (text) => heard.push(text),
    ...(beatMs === undefined ? {} : { beatMs }),
  });
  hails.start();
  onTestFinished(() => hails.stop());
  return { hails, heard };
}

async function hailing(url: string, beatMs?: number): Promise<Node> {
  const node = startHails(url, beatMs);
  await until("it is heard", () => node.hails.connected);
  return node;
}

const texts = (count: number) => Array.from({ length: count }, (_, n) => `{"n":${n}}`);

describe("client events between nodes and an engine that is away", () => {
  it("hails-away: it is tried as often as the log itself, however long it was away", async () => {
    const ATTEMPTS = 12;
    let attempts = 0;
    let enough = () => {};
    const tried = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const peer = createServer((socket) => {
      if (++attempts === ATTEMPTS) enough();
      socket.destroy();
    });
    await once(peer.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void peer.close());
    // The longest waits, written down and over at once.
    vi.spyOn(Math, "random").mockReturnValue(1);
    const waits: number[] = [];
    const { setTimeout } = globalThis;
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void, ms: number) => {
      if (ms === CONNECT_MS) return setTimeout(run, ms);
      waits.push(ms);
      return setTimeout(run, 0);
    }) as unknown as typeof setTimeout);
    onTestFinished(() => void vi.restoreAllMocks());
    startHails(`redis://127.0.0.1:${(peer.address() as AddressInfo).port}`);
    await tried;
    expect(Math.max(...waits)).toBe(RECONNECT.capMs);
  });
});

describe.skipIf(ENGINE_MISSING !== "")(
  `client events between nodes and faults${ENGINE_MISSING}`,
  () => {
    it("hails-flood: what the engine has not taken is bounded, the rest is dropped and counted", async () => {
      const server = await RedisServer.start();
      const [a, b] = [await hailing(server.url), await hailing(server.url)];
      for (const text of texts(5000)) a.hails.call(text);
      expect(a.hails.counts).toMatchObject({ dropped: 4000 });
      await until("what was taken is heard", () => b.heard.length === 1000);
      expect(b.heard).toEqual(texts(1000));
      await until("all is answered", () => a.hails.counts.sent === 1000);
      expect(a.hails.counts).toEqual({ sent: 1000, dropped: 4000, heard: 0 });
      expect(b.hails.counts).toEqual({ sent: 0, dropped: 0, heard: 1000 });
      // It goes on at once.
      a.hails.call("after");
      await until("the next is heard", () => b.heard.at(-1) === "after");
      expect(a.heard).toEqual([]);
    });

    it("hails-silent: messages do not wait for a line that swallows events", async () => {
      const server = await RedisServer.start();
      const proxy = await proxyTo(server.port);
      const a = await hailing(urlOf(proxy));
      const node = await logNode(server.url);
      proxy.swallow();
      for (const text of texts(3000)) a.hails.call(text);
      expect(await node.log.append(messages(1, 100), SOURCE)).toHaveLength(100);
      expect(await node.log.caughtUp(5000)).toBe(true);
      expect(node.reader.live).toHaveLength(100);
      expect(a.hails.counts).toEqual({ sent: 0, dropped: 2000, heard: 0 });
      proxy.cut();
      await until("what was under way is known to be lost", () => a.hails.counts.dropped === 3000);
      a.hails.call("while it is away");
      expect(a.hails.counts.dropped).toBe(3001);
      proxy.restore();
      const b = await hailing(server.url);
      await until("it is heard again", () => a.hails.connected, PATIENCE);
      a.hails.call("again");
      await until("it arrives", () => b.heard.at(-1) === "again");
    });

    it("hails-deaf: a line on which nothing is heard any more is made anew", async () => {
      const server = await RedisServer.start();
      const proxy = await proxyTo(server.port);
      const [a, deaf] = [await hailing(server.url), await hailing(urlOf(proxy), 100)];
      void proxy.blockAnswers();
      await until("it notices", () => !deaf.hails.connected);
      proxy.restore();
      await until("it hears again", () => deaf.hails.connected, PATIENCE);
      a.hails.call("again");
      await until("it arrives", () => deaf.heard.at(-1) === "again");
      expect(deaf.heard).toEqual(["again"]);
    });
  },
);

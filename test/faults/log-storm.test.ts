/** A node dies, and all its pages come to the others in the same moment. */
import { describe, expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { message, SOURCE, startTestRelay } from "../relay/support.ts";
import { expectWholePages, type MovingPage, movingPages } from "../support/pages.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const PAGES = Number(process.env.RTM_TEST_STORM_PAGES ?? 300);
/** Pages that come together at the beginning, which is not the storm. */
const GROUP = 100;
const PATIENCE = 240_000;

describe.skipIf(ENGINE_MISSING !== "")(`a storm of pages${ENGINE_MISSING}`, () => {
  it(`log-storm: ${PAGES} pages move under load, and the engine is read for none of them`, {
    timeout: 2 * PATIENCE,
  }, async () => {
    const engine = await RedisServer.start();
    const node = async (): Promise<Relay> => {
      const relay = await startTestRelay({
        insecure: true,
        drain: { window: "0s", grace: "100ms" },
        // Pages and nodes share this process.
        connectDeadline: "120s",
        log: { kind: "valkey", url: engine.url, grace: "120s" },
      });
      onTestFinished(() => relay.close());
      return relay;
    };
    const [dying, ...others] = [await node(), await node(), await node()] as [Relay, Relay, Relay];
    let ports = [dying.port];
    const pages: MovingPage[] = [];
    const all = (what: string, holds: (page: MovingPage) => boolean) =>
      until(what, () => pages.every(holds), PATIENCE);
    while (pages.length < PAGES) {
      const more = Math.min(GROUP, PAGES - pages.length);
      pages.push(...movingPages(more, "sales", () => ports));
      await all("all pages are there", (page) => page.refreshes() === 1);
    }
    let sent = 0;
    const publish = async (count: number) => {
      const from = sent;
      sent += count;
      const batch = Array.from({ length: count }, (_, k) => message("sales", { n: from + k + 1 }));
      const answers = await others[0]!.publisher.publish(batch, SOURCE);
      expect(answers.every(({ status }) => status === "accepted")).toBe(true);
    };
    await publish(10);
    const reads = async () => {
      const stats = `${await engine.command("INFO", "commandstats")}`;
      const calls = (name: string) =>
        Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
      return { xrange: calls("xrange"), hscan: calls("hscan") };
    };
    const before = await reads();
    ports = others.map(({ port }) => port);
    const closing = dying.close();
    for (let n = 0; n < 5; n++) await publish(5);
    await closing;
    await publish(5);
    await all("all pages have everything", ({ client }) => client.stream.length >= sent);
    expectWholePages(pages, sent);
    const after = await reads();
    expect(after.hscan).toBe(before.hscan);
    // A few of the scripts' own: the log's bound, and a probe that compares what it knows.
    expect(after.xrange - before.xrange).toBeLessThan(50);
    const recipients = [];
    for (const relay of others) {
      const [answer] = await relay.publisher.publish([message("sales", { n: 0 })], SOURCE);
      recipients.push((answer as { recipients: number }).recipients);
    }
    expect(recipients[0]! + recipients[1]!).toBe(PAGES);
    expect(Math.min(...recipients)).toBeGreaterThan(0);
  });
});

/** What every log promises of last values (relay/log/retained-value.ts). */
import { describe, expect, it } from "vitest";
import type { Fact } from "../../relay/log/fact.ts";
import type { Log } from "../../relay/log/log.ts";
import { lastFact, lastKey, readLast } from "../../relay/log/retained-value.ts";
import { append, follow, type LogNode, type LogSettings, message, settle } from "./support.ts";

const DAY = 86_400;
const kept = (n: number, more: object = {}) => message(n, { retain: DAY, ...more });
const forget = (log: Log, eventName: string, channel = "sales") =>
  log.note([{ table: "last", key: lastKey(channel, eventName), value: null }]);

/** Channel, event and id of what is kept. */
function named(facts: readonly Fact[]): string[] {
  return facts.flatMap((fact) => {
    const last = fact.table === "last" ? readLast(fact) : undefined;
    return last ? [`${last.message.channel} ${last.message.eventName} ${last.message.id}`] : [];
  });
}

export function describeLasts(node: (settings?: LogSettings) => Promise<LogNode>): void {
  describe("of last values", () => {
    it("a message that is to be kept says until when, and a repeated one changes nothing", async () => {
      const { log, reader } = await node();
      const before = Date.now();
      await append(log, [kept(1), message(2, { eventName: "other" })]);
      expect(await append(log, [kept(1)])).toMatchObject([{ duplicate: true }]);
      await settle(log);
      const [first, second] = reader.live;
      expect(first?.keptUntil).toBeGreaterThanOrEqual(before + DAY * 1000);
      expect(first?.keptUntil).toBeLessThanOrEqual(Date.now() + DAY * 1000);
      expect(second).not.toHaveProperty("keptUntil");
      expect(reader.live).toHaveLength(2);
      expect(named(reader.facts)).toEqual(["sales order id-1"]);
    });

    it("the newest of an event counts, and one that is not to be kept ends it", async () => {
      const { log, reader } = await node();
      await append(log, [kept(1), kept(2), kept(3, { eventName: "b" }), kept(4, { channel: "x" })]);
      await append(log, [message(5, { eventName: "b" }), kept(6, { eventName: "c" })]);
      await append(log, [message(7, { eventName: "c" }), kept(8, { eventName: "c" })]);
      await settle(log);
      expect(named(reader.facts)).toEqual(["sales c id-8", "sales order id-2", "x order id-4"]);
    });

    it("is removed by what is noted, in one order with what is appended", async () => {
      const { log, reader } = await node();
      await append(log, [kept(1), kept(2, { eventName: "ä💶" })]);
      await forget(log, "order");
      await forget(log, "ä💶");
      await forget(log, "never");
      await append(log, [kept(3)]);
      await settle(log);
      expect(named(reader.facts)).toEqual(["sales order id-3"]);
      // Who comes first is not known; all nodes have what the log has.
      await Promise.all([forget(log, "order"), append(log, [kept(4)]), forget(log, "order")]);
      await settle(log);
      const ends = reader.order.filter((each) => typeof each === "string" || "table" in each);
      const appended = ends.indexOf("id-4");
      const removed = ends.findLastIndex((each) => typeof each !== "string");
      expect(named(reader.facts)).toEqual(appended > removed ? ["sales order id-4"] : []);
    });

    it("a node that comes late has them, though the log has trimmed their messages", async ({
      skip,
    }) => {
      const { log, another, reader } = await node({ bytes: 64 * 1024 });
      if (!another) return skip("this log leaves them to its reader");
      const payload = '{"n": 1.0, "text": "tab\\t, 💶", "big": 12345678901234567890}';
      await append(log, [kept(1, { payload, eventName: "ä💶" }), kept(2, { eventName: "gone" })]);
      await append(log, [message(3, { eventName: "gone" }), kept(4, { payload: "null" })]);
      const padding = JSON.stringify("x".repeat(8000));
      for (let n = 10; n < 200; n++) {
        await append(log, [message(n, { payload: padding, eventName: "fill" })]);
      }
      await append(log, [kept(300, { channel: "late" })]);
      await settle(log);
      const late = await follow(another());
      expect(late.messages.some(({ id }) => id === "id-1")).toBe(false);
      expect(late.facts).toEqual(reader.facts);
      expect(named(late.facts)).toEqual([
        "late order id-300",
        "sales order id-4",
        "sales ä💶 id-1",
      ]);
      const [first] = late.facts.map(readLast).filter((each) => each?.message.id === "id-1");
      expect(first).toEqual({
        epoch: log.epoch,
        message: {
          ...message(1, { payload, eventName: "ä💶" }),
          seq: 1,
          keptUntil: expect.any(Number),
        },
      });
    });

    it("the oldest go when there are too many, or too many bytes, and every node hears of it", async () => {
      const retained = { count: 3, bytes: 10_000 };
      const { log, another, reader } = await node({ retained });
      const event = (n: number, more = {}) => kept(n, { eventName: `e${n}`, ...more });
      for (let n = 1; n <= 4; n++) await append(log, [event(n)]);
      // Set anew, so it is not the oldest any more.
      await append(log, [message(20, { eventName: "e2", retain: DAY }), event(5), event(6)]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e2 id-20", "sales e5 id-5", "sales e6 id-6"]);
      const large = JSON.stringify("x".repeat(6000));
      await append(log, [event(7, { payload: large }), event(8, { payload: large })]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e8 id-8"]);
      // Larger than all of it: not kept, and what it would have replaced is over.
      const tooLarge = JSON.stringify("x".repeat(11_000));
      await append(log, [
        message(9, { eventName: "e8", retain: DAY, payload: tooLarge }),
        event(10),
      ]);
      await append(log, [event(11, { payload: tooLarge }), event(12)]);
      await append(log, [kept(13, { payload: tooLarge }), kept(14)]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e10 id-10", "sales e12 id-12", "sales order id-14"]);
      const many = Array.from({ length: 250 }, (_, n) => event(1000 + n));
      await append(log, many);
      await settle(log);
      expect(reader.lasts).toEqual([1247, 1248, 1249].map((n) => `sales e${n} id-${n}`));
      if (another) expect((await follow(another())).facts).toEqual(reader.facts);
    });

    it("what is over goes before anything that is still to be given, on every log", async () => {
      const retained = { count: 3, bytes: 100_000 };
      const { log, reader, another } = await node({ retained });
      const event = (n: number, eventName = `e${n}`) => kept(n, { eventName });
      const note = (keptUntil: number, ...events: string[]) =>
        log.note(
          events.map((eventName) =>
            lastFact(log.epoch, { ...message(0, { eventName }), seq: 1, keptUntil }),
          ),
        );
      await note(Date.now() + 60_000, "old", "older");
      await note(Date.now() - 1, "over1", "over2", "over3");
      await append(log, [event(1)]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e1 id-1", "sales old id-0", "sales older id-0"]);
      // Over, then set anew: it is the newest of all.
      await note(Date.now() - 1, "old");
      await append(log, [event(2, "old"), event(3)]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e1 id-1", "sales e3 id-3", "sales old id-2"]);
      await note(Date.now() - 1, ...Array.from({ length: 250 }, (_, n) => `many${n}`));
      await append(log, [event(4)]);
      await settle(log);
      expect(reader.lasts).toEqual(["sales e3 id-3", "sales e4 id-4", "sales old id-2"]);
      const seen = [...reader.retained.all()].map(({ entry }) => entry.frame.length);
      expect(reader.retained.bytes).toBe(seen.reduce((sum, length) => sum + length, 0));
      if (another) expect((await follow(another())).lasts).toEqual(reader.lasts);
    });

    it("every node has the same ones, with appenders on each and nodes that come meanwhile", async ({
      skip,
    }) => {
      const { log, another, reader } = await node({ retained: { count: 20, bytes: 4000 } });
      if (!another) return skip("this log is in one process");
      const logs = [log, another(), another()];
      const readers = [reader];
      for (const each of logs.slice(1)) readers.push(await follow(each));
      await Promise.all(
        logs.map(async (each, who) => {
          for (let n = 0; n < 80; n++) {
            const many = Array.from({ length: 1 + (n % 4) }, (_, index) => {
              const k = (n * 7919 + index * 31 + who) % 30;
              return message(n, {
                id: `${who}-${n}-${index}`,
                channel: `c${k % 3}`,
                eventName: `e${k}`,
                payload: JSON.stringify("x".repeat((n * 37) % 400)),
                ...(n % 5 === 4 ? {} : { retain: DAY }),
              });
            });
            await append(each, many);
            if (n % 9 === 0) await forget(each, `e${n % 30}`, `c${n % 3}`);
          }
        }),
      );
      readers.push(await follow(another()));
      for (const each of logs) await settle(each);
      expect(named(reader.facts).length).toBeGreaterThan(3);
      for (const other of readers) expect(other.facts).toEqual(reader.facts);
    });
  });
}

/** What every log promises, whatever holds it (relay/log/log.ts). */
import { describe, expect, it } from "vitest";
import type { Log } from "../../relay/log/log.ts";
import { describeFacts } from "./facts.ts";
import { describeLasts } from "./lasts.ts";
import {
  append,
  follow,
  type LogNode,
  type LogSettings,
  message,
  messages,
  SOURCE,
  settle,
} from "./support.ts";

export interface LogTarget {
  /** A log of the test's own, and more nodes on the same one where nodes can share a log. */
  open(settings?: LogSettings): Promise<{ log: Log; another?: () => Log }>;
}

const accepted = (seq: number, duplicate = false) => ({ status: "accepted", seq, duplicate });

export function describeLog(name: string, target: LogTarget, skipped = ""): void {
  describe.skipIf(skipped !== "")(`the log's contract: ${name}${skipped}`, () => {
    async function node(settings?: LogSettings): Promise<LogNode> {
      const opened = await target.open(settings);
      const reader = await follow(opened.log, opened.another ? undefined : settings?.retained);
      return { ...opened, reader };
    }

    it("tells its reader the epoch and that it is current before it is ready", async () => {
      const { log, reader } = await node();
      expect(reader.resets).toEqual([{ reason: "start", epoch: log.epoch }]);
      expect(log.epoch).not.toBe("");
      expect(reader.isCurrent).toBe(true);
      expect(reader.messages).toEqual([]);
    });

    it("numbers each channel from 1 on, without a gap, in the order of the calls", async () => {
      const { log, reader } = await node();
      const first = await append(log, [message(1), message(2, { channel: "stock" }), message(3)]);
      expect(first).toEqual([accepted(1), accepted(1), accepted(2)]);
      expect(await append(log, [message(4)])).toEqual([accepted(3)]);
      await settle(log);
      expect(reader.live).toEqual([
        { ...message(1), seq: 1 },
        { ...message(2, { channel: "stock" }), seq: 1 },
        { ...message(3), seq: 2 },
        { ...message(4), seq: 3 },
      ]);
    });

    it("appends an id of a source once and gives its first number again", async () => {
      const { log, reader } = await node();
      await append(log, messages(1, 3));
      expect(await append(log, [message(4), message(2), message(4)])).toEqual([
        accepted(4),
        accepted(2, true),
        accepted(4, true),
      ]);
      await settle(log);
      expect(reader.live.map(({ id }) => id)).toEqual(["id-1", "id-2", "id-3", "id-4"]);
    });

    it("keeps the ids of sources and of channels apart", async () => {
      const { log, reader } = await node();
      await append(log, [message(1)]);
      const other = { source: { name: "key:backend" } };
      expect(await append(log, [message(1)], other)).toEqual([accepted(2)]);
      expect(await append(log, [message(1, { channel: "stock" })])).toEqual([accepted(1)]);
      await settle(log);
      expect(reader.live).toHaveLength(3);
    });

    it("remembers at least as many ids of a source as it is told to", async () => {
      const { log } = await node({ ids: 100 });
      for (const each of messages(1, 130)) await append(log, [each]);
      const again = await append(log, messages(31, 130));
      expect(again.every((each) => each.status === "accepted" && each.duplicate)).toBe(true);
    });

    it("does not look for ids that their sender says are new", async () => {
      const { log } = await node();
      await append(log, [message(1)], { ...SOURCE, ownIds: true });
      expect(await append(log, [message(1)])).toEqual([accepted(1 + 1)]);
    });

    it("answers fenced below the highest token of the source, and appends nothing", async () => {
      const { log, reader } = await node();
      const lease = (fence: number) => ({ source: { ...SOURCE.source, fence } });
      expect(await append(log, [message(1)], lease(7))).toEqual([accepted(1)]);
      expect(await append(log, [message(2)], lease(9))).toEqual([accepted(2)]);
      expect(await append(log, [message(3), message(4)], lease(8))).toMatchObject([
        { status: "fenced", code: "fenced" },
        { status: "fenced", code: "fenced" },
      ]);
      expect(await append(log, [message(5)], lease(9))).toEqual([accepted(3)]);
      const other = { source: { name: "queue:OTHER", fence: 1 } };
      expect(await append(log, [message(6)], other)).toEqual([accepted(4)]);
      await settle(log);
      expect(reader.live.map(({ id }) => id)).toEqual(["id-1", "id-2", "id-5", "id-6"]);
    });

    it("carries names with every legal character and payloads with any", async () => {
      const { log, reader } = await node();
      const odd = [
        message(1, { channel: "ä € 𝄞 :;,|{}\"'\\<>", eventName: "💶 \u00a0", id: "'; -- ü" }),
        message(2, { channel: "c:sales", payload: '"\\u0000 \\t 𝄞"' }),
        message(3, { channel: "x".repeat(128), payload: '{\t"a" :\r\n 1,\n"b":"ü€𝄞"}' }),
        message(4, { channel: "7", eventName: "7", id: "7", payload: "7", ts: 0 }),
        message(5, { payload: '"\ud800 lone"', ts: Number.MAX_SAFE_INTEGER }),
      ];
      await append(log, odd);
      await settle(log);
      const got = reader.live.map(({ seq: _, ...rest }) => rest);
      expect(got.slice(0, 4)).toEqual(odd.slice(0, 4));
      // A lone surrogate has no UTF-8; the frame would say U+FFFD in any case.
      expect(got[4]).toMatchObject({ id: "id-5", ts: Number.MAX_SAFE_INTEGER });
      expect(got[4]?.payload).toHaveLength(8);
    });

    it("carries a message of 1 MiB between small ones", async () => {
      const { log, reader } = await node();
      const large = message(2, { payload: JSON.stringify("ü".repeat(512 * 1024)) });
      expect(await append(log, [message(1), large, message(3)])).toEqual([
        accepted(1),
        accepted(2),
        accepted(3),
      ]);
      await settle(log);
      expect(reader.live.map(({ id }) => id)).toEqual(["id-1", "id-2", "id-3"]);
      expect(reader.live[1]?.payload === large.payload).toBe(true);
    });

    it("takes a batch of 20,000 messages in one call, in order", async () => {
      const { log, reader } = await node();
      const batch = Array.from({ length: 20_000 }, (_, n) => message(n, { channel: `c${n % 7}` }));
      const answers = await append(log, batch);
      expect(answers.every(({ status }) => status === "accepted")).toBe(true);
      await settle(log);
      expect(reader.live.map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    });

    it("answers an empty batch with nothing", async () => {
      const { log } = await node();
      expect(await append(log, [])).toEqual([]);
    });

    it("does not call its reader after it was closed", async () => {
      const { log, reader } = await node();
      await append(log, [message(1)]);
      await settle(log);
      await log.close();
      const before = reader.messages.length;
      const answers = await append(log, [message(2)]);
      expect(answers).toMatchObject([{ status: "unavailable" }]);
      expect(reader.messages).toHaveLength(before);
    });

    describeFacts(node);
    describeLasts(node);

    describe("with several nodes", () => {
      it("applies the same messages in the same order everywhere, with appenders on each", async ({
        skip,
      }) => {
        const { log, another, reader } = await node();
        if (!another) return skip("this log is in one process");
        const others = [another(), another(), another()];
        const readers = await Promise.all(others.map((each) => follow(each)));
        const all = [log, ...others];
        await Promise.all(
          all.map(async (each, who) => {
            for (let n = 0; n < 40; n++) {
              const batch = messages(n * 10, n * 10 + 9).map((m, k) => ({
                ...m,
                id: `${who}-${m.id}`,
                channel: `c${k % 3}`,
              }));
              const answers = await append(each, batch, { source: { name: `key:${who}` } });
              expect(answers.every(({ status }) => status === "accepted")).toBe(true);
            }
          }),
        );
        for (const each of all) await settle(each);
        expect(reader.live).toHaveLength(4 * 40 * 10);
        for (const other of readers) expect(other.live).toEqual(reader.live);
        for (let who = 0; who < 4; who++) {
          const mine = reader.live.filter(({ id }) => id.startsWith(`${who}-`));
          expect(mine.map(({ id }) => Number(id.split("-")[2]))).toEqual(
            Array.from({ length: 400 }, (_, n) => n),
          );
        }
      });

      it("gives a node that comes late what the others have", async ({ skip }) => {
        const { log, another, reader } = await node();
        if (!another) return skip("this log is in one process");
        for (let n = 0; n < 100; n++) await append(log, [message(n, { channel: `c${n % 9}` })]);
        await settle(log);
        const late = another();
        const lateReader = await follow(late);
        expect(late.epoch).toBe(log.epoch);
        expect(lateReader.messages).toEqual(reader.messages);
        expect(lateReader.heads).toEqual(reader.heads);
        await append(late, [message(1000)]);
        await settle(log);
        await settle(late);
        expect(lateReader.live).toEqual([{ ...message(1000), seq: 1 }]);
        expect(reader.messages).toEqual(lateReader.messages);
      });

      it("knows an id on every node", async ({ skip }) => {
        const { log, another } = await node();
        if (!another) return skip("this log is in one process");
        const other = another();
        await follow(other);
        await append(log, messages(1, 5));
        expect(await append(other, messages(1, 5))).toEqual(
          [1, 2, 3, 4, 5].map((seq) => accepted(seq, true)),
        );
      });

      it("is caught up only with everything that any node appended before", async ({ skip }) => {
        const { log, another, reader } = await node();
        if (!another) return skip("this log is in one process");
        const other = another();
        await follow(other);
        for (let n = 0; n < 50; n++) {
          await append(other, [message(n)]);
          expect(await log.caughtUp(10_000)).toBe(true);
          expect(reader.heads.get("sales")).toBe(n + 1);
        }
      });
    });
  });
}

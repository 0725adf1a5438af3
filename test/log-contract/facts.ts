/** What every log promises of facts and signals (relay/log/fact.ts). */
import { describe, expect, it } from "vitest";
import type { Fact, Notice } from "../../relay/log/fact.ts";
import type { Log, Noted } from "../../relay/log/log.ts";
import { append, follow, type LogNode, type LogSettings, message, settle } from "./support.ts";

export async function note(log: Log, ...batch: Notice[]): Promise<readonly Noted[]> {
  return log.note(batch);
}

const ACCEPTED = { status: "accepted" };
const revoked = (key: string, value: string | null, more: Partial<Fact> = {}): Fact => ({
  table: "revoked",
  key,
  value,
  ...more,
});
const join = (node: string): Fact => ({ table: "node", key: node, value: "{}" });
const beat = (node: string, value = "beat"): Fact => ({ ...join(node), owner: node, value });
const gone = (node: string): Fact => ({ table: "node", key: node, value: null });
const here = (owner: string, key: string, value: string | null = "1"): Fact => ({
  table: "here",
  owner,
  key,
  value,
});

export function describeFacts(node: (settings?: LogSettings) => Promise<LogNode>): void {
  describe("of facts and signals", () => {
    it("the last one wins, and null removes", async () => {
      const { log, reader } = await node();
      expect(await note(log, revoked("a", "1"), revoked("b", "1"), revoked("a", "2"))).toEqual([
        ACCEPTED,
        ACCEPTED,
        ACCEPTED,
      ]);
      await note(log, revoked("b", null), revoked("never", null));
      await note(log, revoked("b", "3"), revoked("b", null), revoked("c", ""));
      await settle(log);
      expect(reader.facts).toEqual([revoked("a", "2"), revoked("c", "")]);
    });

    it("one of a lower rank changes nothing, whether it comes late or in the same call", async () => {
      const { log, reader } = await node();
      await note(log, revoked("a", "new", { rank: 1_795_333_000_123 }));
      expect(
        await note(
          log,
          revoked("a", "old", { rank: 1_795_333_000_122 }),
          revoked("a", null, { rank: 5 }),
          revoked("b", "2", { rank: 2 }),
          revoked("b", "1", { rank: 1 }),
          revoked("b", "2 again", { rank: 2 }),
        ),
      ).toEqual([ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED]);
      await settle(log);
      expect(reader.facts).toEqual([
        revoked("a", "new", { rank: 1_795_333_000_123 }),
        revoked("b", "2 again", { rank: 2 }),
      ]);
      // Whoever removes what has ended removes nothing that was said meanwhile.
      await note(log, revoked("b", null, { rank: 2 }), revoked("b", "1", { rank: 1 }));
      await settle(log);
      expect(reader.facts.map(({ key, value }) => [key, value])).toEqual([
        ["a", "new"],
        ["b", "1"],
      ]);
    });

    it("come in one order with messages and signals, and give messages no other numbers", async () => {
      const { log, reader } = await node();
      await append(log, [message(1)]);
      await note(log, revoked("a", "1"), { signal: "disconnect", body: "{}" }, revoked("b", "1"));
      expect(await append(log, [message(2)])).toMatchObject([{ seq: 2 }]);
      await note(log, { signal: "disconnect", body: "\t\n" });
      await settle(log);
      expect(reader.order).toEqual([
        "id-1",
        revoked("a", "1"),
        { signal: "disconnect", body: "{}" },
        revoked("b", "1"),
        "id-2",
        { signal: "disconnect", body: "\t\n" },
      ]);
    });

    it("of an owner that is no node are refused, and others of the same call are not", async () => {
      const { log, reader } = await node();
      expect(
        await note(
          log,
          here("n1", "c"),
          beat("n1"),
          revoked("a", "1"),
          join("n1"),
          here("n1", "c"),
        ),
      ).toMatchObject([{ status: "refused" }, { status: "refused" }, ACCEPTED, ACCEPTED, ACCEPTED]);
      expect(await note(log, beat("n1"), here("n2", "c"))).toMatchObject([
        ACCEPTED,
        { status: "refused" },
      ]);
      await settle(log);
      expect(reader.facts).toEqual([here("n1", "c"), beat("n1"), revoked("a", "1")]);
    });

    it("of a node that is gone are gone with it, and it cannot speak again under its name", async () => {
      const { log, reader } = await node();
      await note(log, join("n1"), join("n2"), here("n1", "c\0S"), here("n1", "d"), here("n2", "c"));
      await note(log, gone("n1"));
      // What a node says that was paused, or has not read that it was declared gone.
      expect(await note(log, beat("n1"), here("n1", "c\0S", "2"), here("n2", "e"))).toMatchObject([
        { status: "refused" },
        { status: "refused" },
        ACCEPTED,
      ]);
      expect(await note(log, join("n3"), here("n3", "c\0S", "3"))).toEqual([ACCEPTED, ACCEPTED]);
      await settle(log);
      const left = [here("n2", "c"), here("n2", "e"), here("n3", "c\0S", "3"), join("n2")];
      expect(reader.facts).toEqual([...left, join("n3")]);
      // In one call too: what it said before it was gone does not stay behind.
      expect(await note(log, here("n3", "x"), gone("n3"), here("n3", "y"))).toMatchObject([
        ACCEPTED,
        ACCEPTED,
        { status: "refused" },
      ]);
      await settle(log);
      expect(reader.facts).toEqual([here("n2", "c"), here("n2", "e"), join("n2")]);
    });

    it("carry any text", async () => {
      const { log, reader } = await node();
      const texts = ["\t", "1\t2\t3", "-", "{}\r\n\0", "ä€𝄞 💶", "x".repeat(200_000), "'\"\\%"];
      const odd = texts.map((text, n) =>
        revoked(`${n}${text.slice(0, 100)}`, text, { rank: n, untilMs: 1_795_333_000_000 + n }),
      );
      expect(await note(log, ...odd)).toEqual(odd.map(() => ACCEPTED));
      await note(log, ...texts.map((body) => ({ signal: "s", body })));
      await settle(log);
      expect(reader.facts.map(({ value }) => value)).toEqual(texts);
      expect(reader.facts[6]).toEqual(odd[6]);
      expect(reader.signals).toEqual(texts.map((text) => `s ${text}`));
    });

    it("5,000 in one call are taken in order", async () => {
      const { log, reader } = await node();
      const many = Array.from({ length: 5000 }, (_, n) => revoked(`k${n % 2500}`, `${n}`));
      expect((await note(log, ...many)).every(({ status }) => status === "accepted")).toBe(true);
      await settle(log);
      expect(reader.facts).toHaveLength(2500);
      expect(
        reader.facts.every(({ key, value }) => Number(value) === 2500 + Number(key.slice(1))),
      ).toBe(true);
    });

    it("are counted where the log is, if it is elsewhere", async ({ skip }) => {
      const { log } = await node();
      skip(!log.sizeOf, "a log in this process");
      expect(await log.sizeOf?.("revoked")).toBe(0);
      await note(log, revoked("a", "1"), revoked("b", "1"), revoked("a", "2"), revoked("c", null));
      expect(await log.sizeOf?.("revoked")).toBe(2);
      await log.close();
      expect(await log.sizeOf?.("revoked")).toBeUndefined();
    });

    it("none are taken when the log is closed", async () => {
      const { log, reader } = await node();
      await note(log, revoked("a", "1"));
      await settle(log);
      await log.close();
      expect(await note(log, revoked("b", "1"))).toMatchObject([{ status: "unavailable" }]);
      expect(reader.facts).toEqual([revoked("a", "1")]);
    });

    it("a node that comes late has all of them, also those that the log has trimmed", async ({
      skip,
    }) => {
      const { log, another, reader } = await node({ bytes: 64 * 1024 });
      if (!another) return skip("this log is in one process");
      await note(log, join("n1"), join("n2"), here("n1", "c"), here("n2", "c"), gone("n2"));
      await note(log, revoked("a", "1", { rank: 7, untilMs: 9 }), revoked("b", "1"));
      await note(log, revoked("b", null), { signal: "once", body: "" });
      const payload = JSON.stringify("x".repeat(8000));
      for (let n = 0; n < 200; n++) await append(log, [message(n, { payload })]);
      await note(log, revoked("c", "1"));
      await settle(log);
      const late = await follow(another());
      expect(late.messages.length).toBeLessThan(100);
      expect(late.facts).toEqual(reader.facts);
      expect(late.facts).toEqual([
        here("n1", "c"),
        join("n1"),
        revoked("a", "1", { rank: 7, untilMs: 9 }),
        revoked("c", "1"),
      ]);
      expect(late.signals).toEqual([]);
    });

    it("every node has the same ones, with appenders on each and nodes that come meanwhile", async ({
      skip,
    }) => {
      const { log, another, reader } = await node();
      if (!another) return skip("this log is in one process");
      const logs = [log, another(), another()];
      const readers = [reader];
      for (const each of logs.slice(1)) readers.push(await follow(each));
      await Promise.all(
        logs.map(async (each, who) => {
          const id = `n${who}`;
          await note(each, join(id));
          for (let n = 0; n < 60; n++) {
            const victim = `n${(who + 1) % 3}`;
            await note(
              each,
              here(id, `k${n % 7}`, n % 5 === 0 ? null : `${n}`),
              revoked(`k${n % 11}`, `${who}-${n}`, { rank: (n * 7919) % 31 }),
              ...(n % 20 === 19 ? [gone(victim), join(victim)] : []),
            );
            if (n % 10 === 0) await append(each, [message(n, { id: `${who}-${n}` })]);
          }
        }),
      );
      const late = another();
      logs.push(late);
      readers.push(await follow(late));
      for (const each of logs) await settle(each);
      expect(reader.facts.length).toBeGreaterThan(10);
      for (const other of readers) expect(other.facts).toEqual(reader.facts);
    });
  });
}

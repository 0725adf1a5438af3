/** What a node says of itself, in which portions. */
import { expect, it } from "vitest";
import { type Fact, FactTables, isFact, type Notice } from "../../relay/log/fact.ts";
import type { Noted } from "../../relay/log/log.ts";
import { Announcer } from "../../relay/presence/announcer.ts";
import type { Here } from "../../relay/presence/member.ts";

const ACCEPTED: Noted = { status: "accepted" };

function start(answer: (batch: readonly Notice[]) => readonly Noted[]) {
  const batches: (readonly Notice[])[] = [];
  const heres = new Map<string, Here>();
  const announcer = new Announcer({
    messageLog: {
      note: (batch) => {
        batches.push(batch);
        return answer(batch);
      },
    },
    locals: { here: (key) => heres.get(key), keys: heres.keys() },
    onUnsaid: () => {},
    onFailure: () => {},
  });
  const set = (key: string, n: number) => {
    if (n === 0) heres.delete(key);
    else heres.set(key, { n, info: undefined, infoAt: 0, sinceMs: 1 });
    announcer.changed(key);
  };
  return { announcer, batches, set };
}

it("very many users are announced in portions, so that none keeps the node busy for long", () => {
  const tables = new FactTables();
  const { announcer, batches, set } = start((batch) =>
    batch.map((fact) => {
      tables.apply(fact as never);
      return ACCEPTED;
    }),
  );
  for (let n = 0; n < 10_000; n++) set(`c\0${n}`, 1);
  let calls = 0;
  while (announcer.hasUnsaid) {
    announcer.announce();
    calls++;
  }
  expect(calls).toBe(3);
  expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(4001);
  expect([...tables.of("here", announcer.id)]).toHaveLength(10_000);
});

it("another number of connections waits, somebody who is new or gone does not", () => {
  const { announcer, batches, set } = start((batch) => batch.map(() => ACCEPTED));
  set("c\0SCOTT", 1);
  announcer.announce();
  set("c\0SCOTT", 2);
  expect([announcer.hasUnsaid, announcer.hasCounts]).toEqual([false, true]);
  set("c\0KING", 1);
  announcer.announce();
  expect(batches.at(-1)).toMatchObject([{ key: "c\0KING" }]);
  announcer.sayCounts();
  announcer.announce();
  expect(batches.at(-1)).toMatchObject([{ key: "c\0SCOTT", value: '{"n":2,"s":1,"t":0}' }]);
  set("c\0SCOTT", 0);
  announcer.announce();
  expect(batches.at(-1)).toMatchObject([{ key: "c\0SCOTT", value: null }]);
});

it("what had no answer is said again, also when it is as it was before", () => {
  let lost = false;
  const { announcer, batches, set } = start((batch) =>
    batch.map(() => (lost ? { status: "unavailable", message: "lost" } : ACCEPTED)),
  );
  set("c\0SCOTT", 1);
  announcer.announce();
  lost = true;
  set("c\0SCOTT", 0);
  announcer.announce();
  lost = false;
  // It may have been taken, so that the log says that nobody is there.
  set("c\0SCOTT", 1);
  announcer.announce();
  expect(batches.at(-1)).toMatchObject([{ key: "c\0SCOTT", value: '{"n":1,"s":1,"t":0}' }]);
});

it("what the log has of it from before is said again as it is now, once, and nothing while it agrees", () => {
  const { announcer, batches, set } = start((batch) => {
    // Its own words are read before the answer.
    for (const notice of batch) {
      if (isFact(notice) && notice.table === "here") announcer.heard(notice.key, notice.value);
    }
    return batch.map(() => ACCEPTED);
  });
  set("c\0SCOTT", 1);
  announcer.announce();
  const [, joined] = batches[0] as [Fact, Fact];
  set("c\0SCOTT", 0);
  announcer.announce();
  announcer.correct();
  expect(announcer.hasUnsaid).toBe(false);
  announcer.heard(joined.key, joined.value);
  announcer.correct();
  announcer.announce();
  expect(batches.at(-1)).toMatchObject([{ key: "c\0SCOTT", value: null }]);
  set("c\0SCOTT", 1);
  announcer.announce();
  announcer.heardAll([]);
  announcer.correct();
  announcer.announce();
  expect(batches.at(-1)).toEqual([joined]);
  announcer.heardAll([joined]);
  announcer.correct();
  expect([announcer.hasUnsaid, batches.length]).toEqual([false, 5]);
});

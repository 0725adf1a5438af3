/** The engine against a model that is too simple to be wrong: lists of names. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { AqEngine } from "../../emulator/aq/engine.ts";
import { type AqOwner, NAVIGATION, newOwner } from "../../emulator/aq/options.ts";
import { ManualClock } from "../../emulator/clock.ts";

const SESSIONS = 3;
const MAX_RETRIES = 2;

interface ModelMessage {
  name: string;
  /** Session that enqueued it and has not committed. */
  uncommitted: number | null;
  lockedBy: number | null;
  attempts: number;
}

type Step =
  | { kind: "enqueue" | "dequeue"; session: number; count: number }
  | { kind: "commit" | "rollback" | "lost" | "savepoint" | "undo"; session: number };

const session = fc.nat(SESSIONS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: stepWithCount("enqueue") },
  { weight: 4, arbitrary: stepWithCount("dequeue") },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("commit" as const, "rollback" as const, "lost" as const),
      session,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("savepoint" as const, "undo" as const), session }),
  },
);

function stepWithCount(kind: "enqueue" | "dequeue"): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant(kind), session, count: fc.integer({ min: 1, max: 4 }) });
}

/** Runs the steps on both and compares what is dequeued, what is left and what is exiled. */
async function compare(steps: Step[], lostCounts: boolean): Promise<void> {
  const engine = new AqEngine({ clock: new ManualClock(), lostSessionCountsAttempt: lostCounts });
  const queue = engine.createQueue({
    name: "RTM.Q",
    table: "QT",
    payload: "RAW",
    maxRetries: MAX_RETRIES,
  });
  const owners: AqOwner[] = Array.from({ length: SESSIONS }, newOwner);
  let messages: ModelMessage[] = [];
  let exiled: string[] = [];
  // What each session did since its last commit, newest last, to be taken back.
  const undo: (() => void)[][] = owners.map(() => []);
  const savepoints: (number | null)[] = owners.map(() => null);
  let lastName = 0;

  const takeBack = (who: number, mark: number) => {
    for (const back of undo[who]!.splice(mark).reverse()) back();
  };

  for (const one of steps) {
    const who = one.session;
    const owner = owners[who]!;
    switch (one.kind) {
      case "enqueue":
        for (let i = 0; i < one.count; i++) {
          const message: ModelMessage = {
            name: `m${++lastName}`,
            uncommitted: who,
            lockedBy: null,
            attempts: 0,
          };
          messages.push(message);
          undo[who]!.push(() => {
            messages = messages.filter((other) => other !== message);
          });
          const payload = Buffer.from(message.name);
          engine.enqueue(owner, "RTM.Q", [{ payload, kind: "RAW" }]);
        }
        break;
      case "dequeue": {
        const expected = messages
          .filter(
            (message) =>
              message.lockedBy === null &&
              (message.uncommitted === null || message.uncommitted === who),
          )
          .slice(0, one.count);
        for (const message of expected) {
          message.lockedBy = who;
          undo[who]!.push(() => {
            message.lockedBy = null;
          });
        }
        const got = await engine.dequeue(owner, "RTM.Q", "RAW", {
          max: one.count,
          navigation: NAVIGATION.first,
        });
        expect(got.map((message) => [String(message.payload), message.attempts])).toEqual(
          expected.map((message) => [message.name, message.attempts]),
        );
        break;
      }
      case "commit":
        messages = messages.filter((message) => message.lockedBy !== who);
        for (const message of messages) if (message.uncommitted === who) message.uncommitted = null;
        undo[who] = [];
        savepoints[who] = null;
        engine.commit(owner);
        break;
      case "rollback":
      case "lost": {
        const returned = messages.filter(
          (message) => message.lockedBy === who && message.uncommitted === null,
        );
        takeBack(who, 0);
        savepoints[who] = null;
        if (one.kind === "rollback" || lostCounts) {
          for (const message of returned) message.attempts += 1;
          exiled.push(...names(messages.filter((message) => message.attempts > MAX_RETRIES)));
          messages = messages.filter((message) => message.attempts <= MAX_RETRIES);
        }
        engine.rollback(owner, one.kind);
        break;
      }
      case "savepoint":
        savepoints[who] = undo[who]!.length;
        owner.transaction.savepoint("S");
        break;
      case "undo":
        if (savepoints[who] === null) break;
        takeBack(who, savepoints[who]!);
        owner.transaction.rollbackTo("S");
        engine.wake();
        break;
    }
    exiled = exiled.sort();
    // A dequeued message stays in the queue until the commit.
    expect(engine.messages(queue).map((message) => String(message.payload))).toEqual(
      names(messages),
    );
    expect(owners.map((other) => other.lockedMessages)).toEqual(
      owners.map((_, i) => messages.filter((message) => message.lockedBy === i).length),
    );
    const exceptions = engine.messages(engine.queue(queue.exceptionQueue));
    expect(exceptions.map((message) => String(message.payload)).sort()).toEqual(exiled);
  }
}

function names(messages: ModelMessage[]): string[] {
  return messages.map((message) => message.name);
}

it.each([false, true])(
  "keeps every promise under random sessions (a lost session counts: %s)",
  async (lostCounts) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) =>
        compare(steps, lostCounts),
      ),
      { numRuns: 300 },
    );
  },
);

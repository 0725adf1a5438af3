/** At the bounds: how many revocations there may be, and that nothing waits for room for ever. */
import { describe, expect, it } from "vitest";
import { EVERY_TOKEN, keysOfWhom, Revocations } from "../../relay/access/revocations.ts";
import { revocationFact } from "../../relay/control/revocation-fact.ts";
import { RevocationRoom } from "../../relay/control/revocation-room.ts";

const MOST = 100_000;
const NOW = 1_795_333_000_000;
const DAY_MS = 86_400_000;
const times = (before: number) => ({ before, untilMs: before + DAY_MS });

/** Holds so many revocations of whole tokens and of single channels. */
function filled(whole: number, ofChannels: number, before = NOW - 1000): Revocations {
  const revocations = new Revocations(0);
  const add = (user: string, channel?: string) => {
    for (const key of keysOfWhom({ user }, channel)) revocations.add(key, times(before));
  };
  for (let n = 0; n < whole; n++) add(`U${n}`);
  for (let n = 0; n < ofChannels; n++) add("KING", `c${n}`);
  return revocations;
}

function wanted(user: string, channel?: string, before = NOW) {
  return {
    facts: keysOfWhom({ user }, channel).map((key) => revocationFact(key, times(before))),
    ofChannel: channel !== undefined,
    instead: revocationFact(EVERY_TOKEN, times(before)),
  };
}
const waiting = (user: string, channel?: string) => ({
  ...wanted(user, channel),
  instead: undefined,
});
const all = [revocationFact(EVERY_TOKEN, times(NOW))];

describe("without the right to revoke all", () => {
  it("those of single channels count against the bound of all", () => {
    const room = new RevocationRoom(filled(MOST - 30_001, 30_000));
    expect(room.admit(waiting("SCOTT", "sales"))).toHaveLength(1);
    const full = "100000 revocations are in force: wait until some end";
    expect(room.admit(waiting("SCOTT", "stock"))).toBe(full);
    expect(room.admit(waiting("SCOTT"))).toBe(full);
    expect(room.admit(waiting("KING", "c1"))).toHaveLength(1);
    expect(room.made).toBeUndefined();
  });

  it("those of single channels have half of it", () => {
    const room = new RevocationRoom(filled(0, MOST / 2));
    const full = "50000 revocations of channels are in force: wait until some end";
    expect(room.admit(waiting("SCOTT", "sales"))).toBe(full);
    expect(room.admit(waiting("SCOTT"))).toHaveLength(1);
  });
});

it.each([
  ["of a whole token", MOST, 0, undefined],
  ["of a channel, when all room is taken", MOST, 0, "sales"],
  ["of a channel, when the room of channels is", 0, MOST / 2, "sales"],
])("one more %s revokes every token, and leaves all the room", (_, whole, ofChannels, channel) => {
  const room = new RevocationRoom(filled(whole, ofChannels));
  expect(room.admit(wanted("SCOTT", channel))).toEqual(all);
  expect(room.made).toEqual(all[0]);
  // In the same call: what it covers, and what it does not.
  expect(room.admit(waiting("JONES"))).toEqual(all);
  for (let n = 0; n < MOST; n++) {
    expect(typeof room.admit({ ...wanted(`V${n}`, undefined, NOW + 1), instead: undefined })).toBe(
      "object",
    );
  }
  expect(typeof room.admit({ ...wanted("LAST", undefined, NOW + 1), instead: undefined })).toBe(
    "string",
  );
});

it("one call of more than all room revokes every token once", () => {
  const room = new RevocationRoom(new Revocations(0));
  const answers = Array.from({ length: MOST + 500 }, (_, n) => room.admit(wanted(`U${n}`)));
  expect(answers.slice(MOST)).toEqual(Array.from({ length: 500 }, () => all));
});

it("a revocation of every token takes what the others took, and no more of those that are newer", () => {
  const revocations = filled(10, 10);
  revocations.add("sub:LATER", times(NOW + 5000));
  revocations.add(EVERY_TOKEN, times(NOW));
  expect(revocations.dropCovered()).toHaveLength(20);
  expect([...revocations.entries()].map(([key]) => key)).toEqual(["sub:LATER", EVERY_TOKEN]);
  expect(revocations.ofChannels).toBe(0);
  const judge = (subject: string, issuedAt: number) =>
    revocations.judge({ subject, issuedAt } as never, NOW + 6000);
  expect(judge("U1", NOW - 1)).toBe("revoked");
  expect(judge("ANYBODY", NOW - 1)).toBe("revoked");
  expect(judge("ANYBODY", NOW)).toBe("good");
  expect(judge("LATER", NOW + 4999)).toBe("revoked");
  expect(revocations.add("sub:U1", times(NOW - 1))).toBe(false);
  expect(revocations.add("sub:U1", times(NOW + 1))).toBe(true);
  expect(revocations.judge({ subject: "U2" } as never, NOW + DAY_MS)).toBe("good");
});

/** What a connection may read, as plain data; `rights-model.test.ts` tries it on connections. */
import { describe, expect, it } from "vitest";
import type { Grant } from "../../relay/access/claims.ts";
import { PatternSet } from "../../relay/access/pattern-map.ts";
import { Rights } from "../../relay/clients/rights.ts";
import { matchesAny } from "../../relay/contract/patterns.ts";

const grant = (channels: string[], endsAt: number, more: Partial<Grant> = {}): Grant => ({
  subject: "s",
  channels,
  publish: [],
  presence: { join: [], watch: [], info: undefined },
  issuedAt: undefined,
  endsAt,
  id: undefined,
  sid: undefined,
  self: undefined,
  ...more,
});

function rightsOf(
  open: string[] = [],
  { tokens = 10, patterns = 100 }: { tokens?: number; patterns?: number } = {},
): Rights {
  return new Rights(new PatternSet(open), { tokens, patterns });
}

describe("Rights", () => {
  it("add up per subject, and each ends by itself", () => {
    const rights = rightsOf(["public"]);
    expect(rights.any).toBe(false);
    expect(rights.add(grant(["a"], 10))).toBeUndefined();
    expect(rights.add(grant(["b"], 20))).toBeUndefined();
    expect(rights.add(grant(["c"], 30, { subject: "other" }))).toBe("token_subject_mismatch");
    const allowed = (now: number) =>
      ["a", "b", "c", "public"].filter((name) => rights.allows(name, now));
    expect(allowed(9)).toEqual(["a", "b", "public"]);
    expect(rights.nextEnd).toBe(10);
    // A right that has ended grants nothing, dropped or not.
    expect(allowed(10)).toEqual(["b", "public"]);
    rights.drop(10);
    expect([allowed(10), rights.nextEnd, rights.any]).toEqual([["b", "public"], 20, true]);
    rights.drop(20);
    expect([allowed(20), rights.nextEnd, rights.any]).toEqual([["public"], Infinity, false]);
  });

  it("tell when the next right ends until it is dropped: adding another does not hide it", () => {
    const rights = rightsOf();
    rights.add(grant(["a"], 10));
    rights.add(grant(["b"], 99));
    rights.add(grant(["b", "c"], 200));
    expect(rights.nextEnd).toBe(10);
  });

  it("are renewed for ever, but no more tokens than allowed are in force at a time", () => {
    const rights = rightsOf();
    for (let n = 0; n < 1000; n++) {
      expect(rights.add(grant([`c${n % 10}`], 1000 + n))).toBeUndefined();
    }
    expect(rights.add(grant(["secret"], 5000))).toBe("token_limit");
    expect([rights.allows("c0", 1), rights.allows("secret", 1)]).toEqual([true, false]);
    rights.drop(1990);
    expect(rights.add(grant(["secret"], 5000))).toBeUndefined();
    expect([rights.allows("c0", 1990), rights.allows("secret", 1990)]).toEqual([false, true]);
  });

  it("do not pile up when tokens say the same, in whatever order and however often", () => {
    const rights = rightsOf([], { tokens: 1, patterns: 3 });
    for (const endsAt of [50, 40, 50, 60, 10, 60]) {
      expect(rights.add(grant(["a", "b", "a", "c"], endsAt))).toBeUndefined();
      expect(rights.tokens).toBe(1);
    }
    expect(rights.add(grant(["c"], 1))).toBeUndefined();
    expect([rights.tokens, rights.nextEnd]).toEqual([1, 60]);
  });

  it("keep what an older token grants alone", () => {
    const rights = rightsOf();
    rights.add(grant(["a", "b"], 50));
    rights.add(grant(["b", "c"], 90));
    rights.add(grant(["a"], 20));
    expect(rights.tokens).toBe(2);
    rights.drop(50);
    expect(["a", "b", "c"].filter((name) => rights.allows(name, 50))).toEqual(["b", "c"]);
  });

  it("are bounded by the channels of all tokens together; nothing has changed when they are", () => {
    const rights = rightsOf([], { patterns: 3 });
    expect(rights.add(grant(["a", "b"], 10))).toBeUndefined();
    expect(rights.add(grant(["c", "d"], 20))).toBe("token_limit");
    expect([rights.allows("c", 1), rights.nextEnd]).toEqual([false, 10]);
    expect(rights.add(grant(["b", "c"], 20))).toBeUndefined();
    expect(["a", "b", "c"].filter((name) => rights.allows(name, 10))).toEqual(["b", "c"]);
  });

  it("of two tokens are both kept when neither is as good as the other in every way", () => {
    const join = (info: string) => ({ presence: { join: ["a"], watch: [], info } });
    const pairs: [Partial<Grant>, Partial<Grant>][] = [
      [
        { endsAt: 60, issuedAt: 1 },
        { endsAt: 50, issuedAt: 2 },
      ],
      [{ sid: "x" }, { sid: "y" }],
      [{ self: "user:S" }, {}],
      [join("{}"), join('{"name":"S"}')],
      [{ publish: ["a"] }, { endsAt: 60 }],
      [{ presence: { join: [], watch: ["a"], info: undefined } }, { endsAt: 60 }],
    ];
    for (const [first, second] of pairs) {
      for (const [one, other] of [
        [first, second],
        [second, first],
      ]) {
        const rights = rightsOf();
        rights.add(grant(["a"], 50, one));
        rights.add(grant(["a"], 50, other));
        expect([rights.tokens, { one, other }]).toEqual([2, { one, other }]);
      }
    }
    // Each token has an id of its own, so that says nothing.
    const rights = rightsOf();
    for (let n = 0; n < 5; n++) rights.add(grant(["a"], 50, { id: `${n}`, issuedAt: n }));
    expect(rights.tokens).toBe(1);
  });

  it("beside reading count where a token grants reading too, and end with their own token", () => {
    const rights = rightsOf(["open"]);
    const watch = { presence: { join: [], watch: ["a*", "open"], info: undefined } };
    rights.add(grant(["b"], 50, { publish: ["*"], ...watch }));
    const may = (channel: string, now: number) =>
      (["publish", "join", "watch"] as const).filter((right) =>
        rights.grantOf(right, channel, now),
      );
    expect(["a", "b", "open"].map((name) => may(name, 1))).toEqual([[], ["publish"], []]);
    rights.add(grant(["a"], 90));
    expect(may("a", 1)).toEqual(["publish", "watch"]);
    rights.drop(50);
    expect([may("a", 50), rights.allows("a", 50)]).toEqual([[], true]);
  });

  it("name the token that was issued last where several grant the same", () => {
    const rights = rightsOf();
    const join = (name: string) => ({ presence: { join: ["a"], watch: [], info: name } });
    rights.add(grant(["a"], 90, { issuedAt: 1, ...join("old") }));
    rights.add(grant(["a"], 50, { issuedAt: 2, ...join("new") }));
    expect(rights.grantOf("join", "a", 10)?.presence.info).toBe("new");
    expect(rights.grantOf("join", "a", 50)?.presence.info).toBe("old");
  });

  it("shown of a user are those of the later token: one that ends no later takes no room", () => {
    const rights = rightsOf();
    for (let n = 0; n < 5; n++) {
      const presence = { join: ["a"], watch: [], info: String(n) };
      rights.add(grant(["a"], 50 + n, { issuedAt: n, presence }));
    }
    expect(rights.tokens).toBe(1);
    expect(rights.grantOf("join", "a", 10)?.presence.info).toBe("4");
    const earlier = { join: ["a"], watch: [], info: "earlier" };
    rights.add(grant(["a"], 50, { issuedAt: 3, presence: earlier }));
    expect([rights.tokens, rights.grantOf("join", "a", 10)?.presence.info]).toEqual([1, "4"]);
  });

  it("of a token without channels keep the connection until it ends, one such token at a time", () => {
    const rights = rightsOf([], { tokens: 1 });
    for (const endsAt of [10, 20, 15, 30]) expect(rights.add(grant([], endsAt))).toBeUndefined();
    expect([rights.any, rights.tokens, rights.nextEnd]).toEqual([true, 1, 30]);
    rights.drop(30);
    expect(rights.any).toBe(false);
  });

  it("cost little for many tokens of many channels", () => {
    const rights = rightsOf([], { patterns: 100_000 });
    const channels = Array.from({ length: 4001 }, (_, n) => `channel-${n}`);
    // 240,000 patterns: a list of lists compares each with each.
    for (let n = 0; n < 60; n++) rights.add(grant(channels, 1000 + (n % 7)));
    expect(rights.tokens).toBe(1);
  });
});

describe("a set of patterns", () => {
  it("matches what a walk over the patterns matches", () => {
    const patterns = ["a", "ab*", "abc", "ü*", "x"];
    const names = ["a", "ab", "abc", "abcd", "b", "ü", "üx", "x", "xy", "*", ""];
    for (const set of [patterns, ["*"], []]) {
      expect(names.filter((name) => new PatternSet(set).has(name))).toEqual(
        names.filter((name) => matchesAny(set, name)),
      );
    }
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  colour,
  initials,
  People,
  personOf,
} from "../../../apex-plugins/presence-region/page/people.ts";

const member = (user: string, info: Record<string, unknown> = {}) => ({
  user,
  info,
  connections: 1,
});
const editor = (user: string, since: number) => member(user, { since, edits: true });
const names = (list: readonly { user: string }[]) => list.map(({ user }) => user).join();

describe("people", () => {
  it("the first list is who was there; then who comes and goes is told", () => {
    const people = new People();
    expect(people.take([member("ADA")], 1)).toEqual({ joined: [], left: [] });
    const { joined, left } = people.take([member("KING")], 1);
    expect([names(joined), names(left)]).toEqual(["KING", "ADA"]);
    expect(people.take([member("KING", { name: "King" })], 1)).toEqual({ joined: [], left: [] });
    expect(people.all[0]?.name).toBe("King");
  });

  it("nobody has left when there are too many to be listed", () => {
    const people = new People();
    people.take([member("ADA")], 1);
    expect(people.take([], 300).left).toEqual([]);
    expect(people.count).toBe(300);
    expect(people.take([], 0).left).toEqual([]);
  });

  it("a new visit begins with a list of those who are there", () => {
    const people = new People();
    people.take([member("ADA")], 1);
    people.forget();
    expect(people.take([member("KING")], 1).joined).toEqual([]);
  });

  it("of those who edit exactly one is not told that somebody else came first", () => {
    const editors = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), fc.nat({ max: 3 })), {
      minLength: 1,
      selector: ([user]) => user,
    });
    fc.assert(
      fc.property(editors, (all) => {
        const holders = all.map(([me]) => {
          const people = new People();
          people.me = me;
          people.take(
            all.map(([user, since]) => editor(user, since + 1)),
            all.length,
          );
          return people.holder?.user;
        });
        const free = holders.filter((holder) => holder === undefined);
        expect(free).toHaveLength(1);
        expect(new Set(holders.filter(Boolean)).size).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("whoever only looks holds nothing; whoever says no time comes last", () => {
    const people = new People();
    people.me = "ME";
    people.take([member("LOOKS", { since: 1 }), editor("ME", 5), member("B", { edits: true })], 3);
    expect(people.holder).toBeUndefined();
    expect(names(people.all)).toBe("LOOKS,ME,B");
    expect(names(people.others)).toBe("LOOKS,B");
  });

  it("away is whoever is not said to look, where that is known", () => {
    const people = new People();
    people.take([member("ADA"), member("KING")], 2);
    const away = () => names(people.all.filter((person) => people.isAway(person)));
    expect(away()).toBe("");
    people.takeLooking(["KING"]);
    expect(away()).toBe("ADA");
    people.takeLooking(undefined);
    expect(away()).toBe("");
  });

  it("takes anything for what a member shows of itself", () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.jsonValue()), (user, info) => {
        for (const key of ["name", "image", "since", "edits", "rows"]) {
          const person = personOf(
            member(user, { ...info, [key]: info[Object.keys(info)[0] ?? ""] }),
          );
          expect(typeof person.name).toBe("string");
          expect(["number", "undefined"]).toContain(typeof person.since);
          for (const since of person.rows.values()) expect(since).toBeGreaterThan(0);
        }
        expect(colour(user, 8)).toBeGreaterThanOrEqual(1);
        expect(colour(user, 8)).toBeLessThanOrEqual(8);
        expect(typeof initials(user)).toBe("string");
      }),
    );
  });

  it.each([
    ["Ada Lovelace", "AL"],
    ["ADA", "AD"],
    ["ada.lovelace@example.com", "AC"],
    ["", "?"],
    ["\u00e9mile", "\u00c9M"],
    ["\ud83d\ude80 Rocket", "\ud83d\ude80R"],
  ])("the initials of %j", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});

/** What the database is told of who is here. */
import { describe, expect, it } from "vitest";
import { presenceConfig } from "../../relay/config/presence.ts";
import type { PresentMember } from "../../relay/contract/presence-feed.ts";
import { DatabaseFeed } from "../../relay/presence/database-feed.ts";
import { Roster } from "../../relay/presence/roster.ts";
import { PresenceRules } from "../../relay/presence/rules.ts";
import { presenceRelay, ROOM, Visitor } from "./presence-support.ts";
import { until } from "./support.ts";

const RULES = [{ channels: "room:*", database: true }, { channels: "open:*" }];
const named = (members: readonly PresentMember[] | undefined) =>
  members?.map(({ channel, user, connections }) => `${channel} ${user} ${connections}`).sort();

describe("what the database is told", () => {
  it("is everybody in channels of its rules, then who came, changed and left", async () => {
    const relay = await presenceRelay({ presence: { rules: RULES, grace: "10ms" } });
    const feed = relay.presenceFeed!;
    const scott = await Visitor.enter(relay, "SCOTT", { info: { name: "Scott" } });
    await Visitor.enter(relay, "SCOTT", { channel: "open:1" });
    await scott.sees("SCOTT");
    let first: readonly PresentMember[] | undefined;
    await until("it has settled", () => {
      first = feed.read(true);
      return first !== undefined;
    });
    expect(first).toEqual([
      {
        channel: ROOM,
        user: "SCOTT",
        connections: 1,
        info: '{"name":"Scott"}',
        sinceMs: expect.any(Number),
      },
    ]);
    expect(feed.read(false)).toEqual([]);
    const king = await Visitor.enter(relay, "KING");
    await scott.sees("KING", "SCOTT");
    expect(named(feed.read(false))).toEqual([`${ROOM} KING 1`]);
    king.client.send({ op: "unsubscribe", channels: [ROOM] });
    await scott.sees("SCOTT");
    expect(named(feed.read(false))).toEqual([`${ROOM} KING 0`]);
    expect(named(feed.read(true))).toEqual([`${ROOM} SCOTT 1`]);
  });

  it("is nothing where nobody can be seen", async () => {
    const relay = await presenceRelay({ presence: { rules: [] } });
    expect(relay.presenceFeed).toBeUndefined();
  });
});

describe("the feed", () => {
  const here = (owner: string, channel: string, user: string, n: number) => ({
    table: "here" as const,
    owner,
    key: `${channel}\0${user}`,
    value: n === 0 ? null : `{"n":${n},"s":1,"t":1}`,
  });
  const make = (most = 100) => {
    const state = { settled: true };
    const rules = new PresenceRules(presenceConfig.parse({ rules: RULES }));
    const roster: Roster = new Roster((channel, user) => feed.note(channel, user));
    const feed: DatabaseFeed = new DatabaseFeed({
      rules,
      roster,
      most,
      isSettled: () => state.settled,
    });
    for (const node of ["a", "b"]) roster.apply({ table: "node", key: node, value: "" });
    return { state, roster, feed };
  };

  it("adds up what all nodes say, and drops a node that is gone", () => {
    const { roster, feed } = make();
    roster.apply(here("a", "room:1", "SCOTT", 1));
    roster.apply(here("b", "room:1", "SCOTT", 2));
    roster.apply(here("b", "room:1", "KING", 1));
    expect(named(feed.read(true))).toEqual(["room:1 KING 1", "room:1 SCOTT 3"]);
    roster.apply({ table: "node", key: "b", value: null });
    expect(named(feed.read(false))).toEqual(["room:1 KING 0", "room:1 SCOTT 1"]);
  });

  it("tells a user once, as it is now, whatever happened in between", () => {
    const { roster, feed } = make();
    feed.read(true);
    roster.apply(here("a", "room:1", "SCOTT", 1));
    roster.apply(here("a", "room:1", "SCOTT", 0));
    roster.apply(here("a", "room:1", "SCOTT", 2));
    expect(named(feed.read(false))).toEqual(["room:1 SCOTT 2"]);
    expect(feed.read(false)).toEqual([]);
  });

  it("asks to be read in full after it was not settled, and before anybody has", () => {
    const { state, roster, feed } = make();
    expect(feed.read(false)).toBeUndefined();
    feed.read(true);
    state.settled = false;
    expect(feed.read(false)).toBeUndefined();
    expect(feed.read(true)).toBeUndefined();
    roster.apply(here("a", "room:1", "SCOTT", 1));
    state.settled = true;
    expect(feed.read(false)).toBeUndefined();
    expect(named(feed.read(true))).toEqual(["room:1 SCOTT 1"]);
    feed.restart();
    expect(feed.read(false)).toBeUndefined();
  });

  it("remembers no more changes than it may, when nobody reads them", () => {
    const { roster, feed } = make(2);
    feed.read(true);
    for (const user of ["A", "B", "C"]) roster.apply(here("a", "room:1", user, 1));
    expect(feed.read(false)).toBeUndefined();
    expect(feed.read(true)).toHaveLength(3);
  });
});

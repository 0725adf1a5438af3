/** Who is here, on one node. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { afterTicks, presenceRelay, presenceToken, ROOM, Visitor } from "./presence-support.ts";
import { Client, message, SOURCE, token, until } from "./support.ts";

describe("presence", () => {
  it("a list comes first, then who joins and who leaves", async () => {
    const relay = await presenceRelay({ presence: { grace: "10m" } });
    const scott = await Visitor.enter(relay, "SCOTT", { info: { name: "Scott" } });
    await scott.sees("SCOTT");
    expect(scott.news()).toEqual([
      {
        op: "members",
        channel: ROOM,
        count: 1,
        members: [{ user: "SCOTT", info: { name: "Scott" }, connections: 1 }],
        more: false,
        settleMs: expect.any(Number),
      },
    ]);
    const king = await Visitor.enter(relay, "KING");
    await scott.sees("KING", "SCOTT");
    await king.sees("KING", "SCOTT");
    expect(scott.news()).toEqual([
      {
        op: "presence",
        channel: ROOM,
        count: 2,
        left: [],
        joined: [{ user: "KING", connections: 1 }],
      },
    ]);
    king.client.send({ op: "unsubscribe", channels: [ROOM] });
    await scott.sees("SCOTT");
    expect(scott.news()).toEqual([
      { op: "presence", channel: ROOM, count: 1, left: ["KING"], joined: [] },
    ]);
  });

  it("says under which id one is seen, and nothing where one is not", async () => {
    const relay = await presenceRelay();
    const client = await Client.connect(relay, {
      token: await presenceToken("SCOTT"),
      subscribe: [{ channel: ROOM, presence: { join: true } }, { channel: "room:2" }],
    });
    const [, seen, unseen] = await client.nextN(3);
    expect(seen).toMatchObject({ op: "subscribed", channel: ROOM, user: "SCOTT" });
    expect(unseen).not.toHaveProperty("user");
  });

  it("three tabs are one member, and when all close one leaves, after the grace", async () => {
    const relay = await presenceRelay();
    const watcher = await Visitor.enter(relay, "KING");
    await watcher.sees("KING");
    const tabs = await Promise.all([1, 2, 3].map(() => Visitor.enter(relay, "SCOTT")));
    await watcher.sees("KING", "SCOTT");
    const [first, second, third] = tabs as [Visitor, Visitor, Visitor];
    await first.client.close();
    await afterTicks();
    watcher.news();
    await Promise.all([second.client.close(), third.client.close()]);
    await watcher.sees("KING");
    expect(watcher.news()).toEqual([
      { op: "presence", channel: ROOM, count: 1, left: ["SCOTT"], joined: [] },
    ]);
  });

  it("a page that is reloaded inside the grace never left", async () => {
    const relay = await presenceRelay({ presence: { grace: "5s" } });
    const watcher = await Visitor.enter(relay, "KING");
    const page = await Visitor.enter(relay, "SCOTT");
    await watcher.sees("KING", "SCOTT");
    watcher.news();
    page.client.ws.terminate();
    await afterTicks();
    const again = await Visitor.enter(relay, "SCOTT");
    await again.sees("KING", "SCOTT");
    again.client.send({ op: "unsubscribe", channels: [ROOM] });
    // The grace of the page before has not ended: whoever came back took its place.
    await watcher.sees("KING");
    expect(watcher.news()).toEqual([
      { op: "presence", channel: ROOM, count: 1, left: ["SCOTT"], joined: [] },
    ]);
  });

  it("a user who unsubscribes, or whose token ends, leaves at once", async () => {
    const relay = await presenceRelay({ presence: { grace: "10m" }, tokens: tokens() });
    const watcher = await Visitor.enter(relay, "KING");
    const page = await Visitor.enter(relay, "SCOTT");
    const short = await Visitor.enter(relay, "ADAMS", { lifetimeMs: 1500 });
    await watcher.sees("ADAMS", "KING", "SCOTT");
    page.client.send({ op: "unsubscribe", channels: [ROOM] });
    await watcher.sees("ADAMS", "KING");
    expect((await short.client.end()).code).toBe(4100);
    await watcher.sees("KING");
  });

  it("a page whose connection was lost is seen no longer than its token would have let it", async () => {
    const relay = await presenceRelay({ presence: { grace: "10m" }, tokens: tokens() });
    const watcher = await Visitor.enter(relay, "KING");
    const short = await Visitor.enter(relay, "ADAMS", { lifetimeMs: 1500 });
    await watcher.sees("ADAMS", "KING");
    short.client.ws.terminate();
    await watcher.sees("KING");
  });

  it("a user whose tokens are revoked leaves at once, also when the connection was lost before", async () => {
    const relay = await presenceRelay({ presence: { grace: "10m" } });
    const watcher = await Visitor.enter(relay, "KING");
    await Visitor.enter(relay, "SCOTT");
    const lost = await Visitor.enter(relay, "ADAMS");
    await watcher.sees("ADAMS", "KING", "SCOTT");
    lost.client.ws.terminate();
    await lost.client.end();
    const before = Date.now() + 1000;
    await relay.publisher.control([{ op: "revoke", user: "SCOTT", before }], SOURCE);
    await watcher.sees("ADAMS", "KING");
    const one = { op: "unsubscribe", user: "ADAMS", channel: ROOM, before } as const;
    await relay.publisher.control([one], SOURCE);
    await watcher.sees("KING");
  });

  it("who has no right to presence any more is told, and leaves at once", async () => {
    const relay = await presenceRelay({ presence: { grace: "10m" }, tokens: tokens() });
    const watcher = await Visitor.enter(relay, "KING");
    const page = await Visitor.enter(relay, "SCOTT", { lifetimeMs: 1500 });
    await watcher.sees("KING", "SCOTT");
    page.client.send({
      op: "refresh",
      token: await token(["room:*"], { subject: "SCOTT" }),
    });
    await page.other("refreshed");
    expect(await page.other("error")).toMatchObject({
      code: "presence_forbidden",
      channel: ROOM,
    });
    await watcher.sees("KING");
    await relay.publisher.publish([message(ROOM, 1)], SOURCE);
    await until("the message", () => {
      page.read();
      return page.others.some(({ payload }) => payload === 1);
    });
    expect(page.news().filter(({ op }) => op === "presence")).toEqual([]);
  });

  it("new info is an update, not a leave; of two tokens the one issued last counts", async () => {
    const relay = await presenceRelay();
    const watcher = await Visitor.enter(relay, "KING");
    const page = await Visitor.enter(relay, "SCOTT", { info: { at: "desk" } });
    await watcher.sees("KING", "SCOTT");
    watcher.news();
    page.client.send({
      op: "refresh",
      token: await presenceToken("SCOTT", {
        info: { at: "lunch" },
        issuedAt: Date.now() + 1000,
        lifetimeMs: 120_000,
      }),
    });
    await until("the news", () => {
      watcher.read();
      return watcher.frames.length > 0;
    });
    expect(watcher.news()).toEqual([
      {
        op: "presence",
        channel: ROOM,
        count: 2,
        left: [],
        joined: [{ user: "SCOTT", info: { at: "lunch" }, connections: 1 }],
      },
    ]);
    await Visitor.enter(relay, "SCOTT", { info: { at: "old" }, issuedAt: Date.now() - 10_000 });
    await afterTicks();
    expect(watcher.news()).toEqual([]);
    expect(watcher.members?.get("SCOTT")?.info).toEqual({ at: "lunch" });
  });

  it("in and out within a tick is not told", async () => {
    const relay = await presenceRelay({ presence: { grace: "0ms" } });
    const watcher = await Visitor.enter(relay, "KING");
    await watcher.sees("KING");
    watcher.news();
    const client = await Client.connect(relay, {
      token: await presenceToken("SCOTT"),
      subscribe: [{ channel: ROOM, presence: { join: true } }],
    });
    client.send({ op: "unsubscribe", channels: [ROOM] });
    await client.nextN(3);
    await afterTicks();
    expect(watcher.news()).toEqual([]);
  });

  it("odd names are names: __proto__, constructor, lone surrogates, line breaks", async () => {
    const relay = await presenceRelay();
    const watcher = await Visitor.enter(relay, "KING");
    const odd = ["__proto__", "constructor", "a\u0000b", "x\ny", "💶"];
    const pages: Visitor[] = [];
    for (const user of odd) pages.push(await Visitor.enter(relay, user));
    pages.push(await Visitor.enter(relay, "\ud800"));
    await watcher.sees("KING", "\ufffd", ...odd);
    for (const page of pages) page.client.send({ op: "unsubscribe", channels: [ROOM] });
    await watcher.sees("KING");
    expect(({} as Record<string, unknown>).connections).toBeUndefined();
  });

  it("a list that crosses a leave does not bring back who left", async () => {
    const relay = await presenceRelay({ presence: { grace: "0ms" } });
    const page = await Visitor.enter(relay, "SCOTT");
    const [late] = await Promise.all([Visitor.enter(relay, "KING"), page.client.close()]);
    await late.sees("KING");
    await afterTicks();
    late.read();
    expect(late.names).toBe("KING");
  });

  it("comes after the messages that came before", async () => {
    const relay = await presenceRelay();
    const watcher = await Visitor.enter(relay, "KING");
    await watcher.sees("KING");
    watcher.client.received.length = 0;
    await relay.publisher.publish([message(ROOM, 1)], SOURCE);
    await Visitor.enter(relay, "SCOTT");
    await until("both", () => watcher.client.received.length >= 2);
    expect(watcher.client.received.map((text) => JSON.parse(text).op)).toEqual([
      undefined,
      "presence",
    ]);
  });
});

describe("presence is denied", () => {
  const ask = async (
    channel: string,
    presence: unknown,
    claims: Record<string, unknown> | undefined,
    overrides: object = {},
  ) => {
    const relay = await presenceRelay(overrides);
    const client = await Client.connect(relay, {
      token: await token(["*"], { subject: "SCOTT", ...(claims ? { claims } : {}) }),
      subscribe: [{ channel, presence }],
    });
    const [, subscribed, error] = await client.nextN(3);
    expect(subscribed).toMatchObject({ op: "subscribed", channel });
    expect(subscribed).not.toHaveProperty("user");
    await relay.publisher.publish([message(channel, 1)], SOURCE);
    expect(await client.next()).toMatchObject({ payload: 1 });
    return error;
  };
  const all = { presence: { join: ["*"], watch: ["*"] } };
  const both = { join: true, watch: true };

  it("without a rule for the channel", async () => {
    expect(await ask("other", both, all)).toMatchObject({
      op: "error",
      code: "presence_forbidden",
      channel: "other",
    });
  });

  it("without any rule", async () => {
    expect(await ask(ROOM, both, all, { presence: { rules: [] } })).toMatchObject({
      code: "presence_forbidden",
    });
  });

  it("without the claim, for each half of it", async () => {
    expect(await ask(ROOM, both, undefined)).toMatchObject({ code: "presence_forbidden" });
    const join = { presence: { join: ["*"] } };
    expect(await ask(ROOM, both, join)).toMatchObject({ code: "presence_forbidden" });
    const watch = { presence: { watch: ["*"] } };
    expect(await ask(ROOM, both, watch)).toMatchObject({ code: "presence_forbidden" });
  });

  it("to whom sees without being seen, unless the rule says so", async () => {
    expect(await ask(ROOM, { watch: true }, all)).toMatchObject({ code: "presence_forbidden" });
    const relay = await presenceRelay();
    const watcher = await Visitor.enter(relay, "KING", { channel: "open:1", join: false });
    await watcher.sees();
    await Visitor.enter(relay, "SCOTT", { channel: "open:1", watch: false });
    await watcher.sees("SCOTT");
  });

  it("to whoever has no identity: public channels, and insecure relays", async () => {
    for (const overrides of [{ publicChannels: ["room:*"] }, { insecure: true }]) {
      const relay = await presenceRelay(overrides);
      const client = await Client.connect(relay, {
        subscribe: [{ channel: ROOM, presence: both }],
      });
      const [, subscribed, error] = await client.nextN(3);
      expect(subscribed).toMatchObject({ op: "subscribed" });
      expect(error).toMatchObject({ code: "presence_forbidden" });
    }
  });

  it("to a poll that wants to see others; it is seen, and goes on being seen between polls", async () => {
    const relay = await presenceRelay({ presence: { grace: "3s" } });
    const watcher = await Visitor.enter(relay, "KING");
    const poll = async (presence: object) => {
      const response = await fetch(`http://127.0.0.1:${relay.port}/poll`, {
        method: "POST",
        body: JSON.stringify({
          op: "connect",
          token: await presenceToken("SCOTT"),
          subscribe: [{ channel: ROOM, presence }],
          waitMs: 0,
        }),
      });
      return ((await response.json()) as { frames: { code?: string }[] }).frames;
    };
    expect((await poll(both)).map(({ code }) => code)).toContain("presence_forbidden");
    expect(await poll({ join: true })).toContainEqual(expect.objectContaining({ user: "SCOTT" }));
    await watcher.sees("KING", "SCOTT");
    watcher.news();
    await afterTicks();
    await poll({ join: true });
    await watcher.sees("KING");
    expect(watcher.news().map(({ left }) => left)).toEqual([["SCOTT"]]);
  });

  it("with a wrong wish, by a frame that names it", async () => {
    const relay = await presenceRelay();
    const client = await Client.connect(relay, {
      token: await presenceToken("SCOTT"),
      subscribe: [{ channel: ROOM, presence: { join: "yes" } }],
    });
    const [, error] = await client.nextN(2);
    expect(error).toMatchObject({ op: "error", code: "bad_frame", channel: ROOM });
    expect(error?.message).toContain("subscribe[0].presence");
  });
});

describe("presence is bounded", () => {
  it("above presence.members only the number is told, and a list again at 90 %", async () => {
    const relay = await presenceRelay({ presence: { members: 10, grace: "0ms" } });
    const watcher = await Visitor.enter(relay, "KING", { channel: "open:1", join: false });
    const crowd: Visitor[] = [];
    const grow = async (to: number) => {
      for (let n = crowd.length; n < to; n++)
        crowd.push(await Visitor.enter(relay, `U${n}`, { channel: "open:1", watch: false }));
      await watcher.counts(to);
    };
    const shrink = async (to: number) => {
      await Promise.all(crowd.splice(to).map((page) => page.client.close()));
      await watcher.counts(to);
    };
    await grow(10);
    expect(watcher.members?.size).toBe(10);
    await grow(12);
    expect(watcher.members).toBeUndefined();
    expect(watcher.frames.at(-1)).toEqual({
      op: "presence",
      channel: "open:1",
      count: 12,
      listed: false,
    });
    const late = await Visitor.enter(relay, "LATE", { channel: "open:1", join: false });
    await late.counts(12);
    expect(late.members).toBeUndefined();
    await shrink(10);
    expect(watcher.members).toBeUndefined();
    await shrink(9);
    expect(watcher.members?.size).toBe(9);
    await late.counts(9);
    expect(late.names).toBe(watcher.names);
  });

  it("a list of more than 200 comes in several frames", async () => {
    const relay = await presenceRelay({ presence: { members: 500 } });
    await Promise.all(
      Array.from({ length: 205 }, (_, n) => Visitor.enter(relay, `U${n}`, { watch: false })),
    );
    await afterTicks();
    const late = await Visitor.enter(relay, "KING");
    await until("the list", () => {
      late.read();
      return late.frames.length >= 2;
    });
    expect(
      late.news().map(({ count, more, members }) => [count, more, (members as []).length]),
    ).toEqual([
      [206, true, 200],
      [206, false, 6],
    ]);
    expect(late.members?.size).toBe(206);
  });

  // By a hand clock, and exactly: presence-crowd.test.ts.
  it("1,000 who join a counted channel cost each a number at most at each tick", async () => {
    const relay = await presenceRelay({
      presence: { members: 50 },
      limits: { refusalsPerMinute: 0 },
    });
    const early = await Promise.all(
      Array.from({ length: 60 }, (_, n) => Visitor.enter(relay, `E${n}`)),
    );
    await Promise.all(early.map((page) => page.counts(60)));
    for (const page of early) page.news();
    const perConnection = 20;
    const tokens = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => presenceToken(`U${n}`)),
    );
    // So that the machine of a test can do it in a second the connections are open already.
    const clients = await Promise.all(tokens.map((each) => Client.connect(relay, { token: each })));
    await Promise.all(clients.map((client) => client.next()));
    const started = performance.now();
    for (let n = 0; n < 1000; n += perConnection) {
      for (const client of clients.slice(n, n + perConnection)) {
        client.send({ op: "subscribe", subscribe: [{ channel: ROOM, presence: { join: true } }] });
      }
      const wait = started + (n / 1000) * 1000 - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    await Promise.all(early.map((page) => page.counts(1060)));
    const ticks = Math.ceil((performance.now() - started) / 250) + 1;
    for (const page of early) {
      const frames = page.news();
      expect(frames.length).toBeLessThanOrEqual(ticks);
      expect(frames.every(({ listed }) => listed === false)).toBe(true);
    }
  });

  it("by limits.presenceChannels for a connection and limits.presenceMembers in all", async () => {
    const relay = await presenceRelay({ limits: { presenceChannels: 2, presenceMembers: 3 } });
    const client = await Client.connect(relay, {
      token: await presenceToken("SCOTT"),
      subscribe: [1, 2, 3].map((n) => ({ channel: `room:${n}`, presence: { join: true } })),
    });
    const frames = await client.nextN(5);
    expect(frames[4]).toMatchObject({ code: "presence_limit", channel: "room:3" });
    const king = await Visitor.enter(relay, "KING");
    await king.sees("KING", "SCOTT");
    const late = await Client.connect(relay, {
      token: await presenceToken("LATE"),
      subscribe: [{ channel: ROOM, presence: { join: true, watch: true } }],
    });
    expect((await late.nextN(3))[2]).toMatchObject({ code: "presence_limit" });
    // Another page of somebody who is there is no new member.
    const again = await Visitor.enter(relay, "KING");
    await again.sees("KING", "SCOTT");
  });
});

describe("presence and slow clients", () => {
  it("a slow client gets no changes, a list when it reads again, and is not closed", async () => {
    const relay = await presenceRelay({ slowClients: { connectionBytes: "4MiB" } });
    const slow = await Visitor.enter(relay, "SLOW");
    await slow.sees("SLOW");
    slow.client.ws.pause();
    const big = "x".repeat(200_000);
    for (let n = 0; n < 30; n++) {
      await relay.publisher.publish([message(ROOM, big)], SOURCE);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const joined: Visitor[] = [];
    for (let n = 0; n < 5; n++) {
      joined.push(await Visitor.enter(relay, `U${n}`));
      await afterTicks();
    }
    slow.client.ws.resume();
    await slow.sees("SLOW", "U0", "U1", "U2", "U3", "U4");
    expect(slow.client.closed).toBeUndefined();
    expect(slow.news().map(({ op }) => op)).toEqual(["members", "members"]);
    expect(joined.at(-1)?.client.closed).toBeUndefined();
  });
});

describe("presence and hidden users", () => {
  const hidden = {
    presence: {
      rules: [{ channels: "room:*", hashUsers: true }],
      hashSecret: "0123456789abcdef0123456789abcdef",
    },
  };

  it("shows a hash that tells neither who it is nor where else it is seen", async () => {
    const relay = await presenceRelay(hidden);
    const client = await Client.connect(relay, {
      token: await presenceToken("SCOTT"),
      subscribe: [1, 2].map((n) => ({
        channel: `room:${n}`,
        presence: { join: true, watch: true },
      })),
    });
    const frames = await client.nextN(5);
    const ids = frames.filter(({ op }) => op === "subscribed").map(({ user }) => user);
    expect(ids[0]).toMatch(/^[\w-]{22}$/);
    expect(ids[0]).not.toBe(ids[1]);
    const seen = frames.filter(({ op }) => op === "members").map(({ members }) => members);
    expect(seen).toEqual(ids.map((user) => [{ user, connections: 1 }]));
    const again = await Visitor.enter(relay, "SCOTT");
    await again.sees(ids[0] as string);
  });
});

describe("presence and restarts", () => {
  it("a graceful stop keeps who was here, as if their connections had been lost", async () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), "rtm-presence-"));
    onTestFinished(() => rmSync(stateDirectory, { recursive: true }));
    const first = await presenceRelay({ stateDirectory, presence: { grace: "3s" } });
    const scott = await Visitor.enter(first, "SCOTT", { info: { name: "Scott" } });
    await Visitor.enter(first, "KING");
    await scott.sees("KING", "SCOTT");
    await first.drain();
    const second = await presenceRelay({ stateDirectory, presence: { grace: "3s" } });
    const back = await Visitor.enter(second, "SCOTT", { info: { name: "Scott" } });
    await back.sees("KING", "SCOTT");
    await back.sees("SCOTT");
  });

  it("a relay that begins anew tells who is here again, and how long others may be missing", async () => {
    const relay = await presenceRelay({ presence: { grace: "4s" } });
    const scott = await Visitor.enter(relay, "SCOTT");
    await scott.sees("SCOTT");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    scott.news();
    relay.setServing(false);
    await scott.client.end();
    relay.setServing(true);
    const back = await Visitor.enter(relay, "SCOTT");
    await back.sees("SCOTT");
    const [list] = back.news();
    expect(list).toMatchObject({ op: "members", settleMs: expect.any(Number) });
  });
});

/** Tokens whose end is not stretched by the tolerance. */
function tokens(): object {
  return {
    clockTolerance: "0s",
    secrets: [{ kid: "k1", secret: "0123456789abcdef0123456789abcdef" }],
  };
}

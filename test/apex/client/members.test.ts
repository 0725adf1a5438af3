/** Whom a page sees: from frames, and from a real relay. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  Listener,
  type Member,
  type MembersChange,
} from "../../../apex-plugins/client/listener.ts";
import { Members } from "../../../apex-plugins/client/members.ts";
import { presenceRelay, presenceToken, ROOM, Visitor } from "../../relay/presence-support.ts";
import { until } from "../../relay/support.ts";
import { Page, ScriptedRelay } from "./kit.ts";

const entry = (user: string, info?: Record<string, unknown>): Member => ({
  user,
  connections: 1,
  ...(info ? { info } : {}),
});
const names = (members: readonly Member[]) => members.map(({ user }) => user).join();

describe("members of a channel", () => {
  const watch = () => {
    const changes: [joined: string, left: string, all: string, count: number][] = [];
    const on = {
      onMembers(_name: string, all: readonly Member[], count: number, change: MembersChange) {
        changes.push([names(change.joined), names(change.left), names(all), count]);
      },
    };
    const watcher = new Listener(undefined, "live", undefined, on, 0, { watch: true });
    const members = new Members({ name: "c", user: undefined, listeners: [watcher] }, (tell) =>
      tell(),
    );
    const list = (users: readonly Member[], more: object = {}) =>
      members.take({
        op: "members",
        channel: "c",
        count: users.length,
        members: users,
        more: false,
        ...more,
      });
    const change = (left: readonly string[], joined: readonly Member[]) =>
      members.take({ op: "presence", channel: "c", count: 0, left, joined });
    return { members, changes, list, change };
  };

  it("are a list, then changes; new info is no leave", () => {
    const { changes, list, change } = watch();
    change([], [entry("too early")]);
    list([entry("a"), entry("b")]);
    change(["a"], [entry("__proto__")]);
    change([], [entry("b", { at: "lunch" })]);
    change(["nobody"], []);
    expect(changes).toEqual([
      ["a,b", "", "a,b", 2],
      ["__proto__", "a", "b,__proto__", 2],
      ["b", "", "b,__proto__", 2],
    ]);
  });

  it("a further list tells only what is new, also one in several frames", () => {
    const { changes, list } = watch();
    list([entry("a"), entry("b")]);
    list([entry("b")], { more: true, count: 2 });
    list([entry("c")], { count: 2 });
    expect(changes.at(-1)).toEqual(["c", "a", "b,c", 2]);
    expect(changes).toHaveLength(2);
  });

  it("who is missing of a list that may be incomplete stays until it must be complete", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { changes, list, change } = watch();
    list([entry("a"), entry("b"), entry("c")]);
    list([entry("a")], { settleMs: 5000 });
    expect(changes.at(-1)).toEqual(["", "", "a,b,c", 3]);
    change([], [entry("b")]);
    expect(changes).toHaveLength(2);
    vi.advanceTimersByTime(5000);
    expect(changes.at(-1)).toEqual(["", "c", "a,b", 2]);
  });

  it("too many are a number, then a list again", () => {
    const { members, changes, list } = watch();
    list([entry("a")]);
    members.take({ op: "presence", channel: "c", count: 1532, listed: false });
    list([entry("a"), entry("b")]);
    expect(changes.slice(1)).toEqual([
      ["", "", "", 1532],
      ["a,b", "", "a,b", 2],
    ]);
  });
});

describe("onMembers", () => {
  it("listeners of a channel share one place, and a newcomer is told of all", async () => {
    const relay = await ScriptedRelay.start();
    onTestFinished(() => relay.stop());
    const page = new Page(relay.url);
    const client = page.client("t");
    const seen: string[] = [];
    const listen = (name: string, presence: object) =>
      client.subscribe("c", {
        presence,
        onMembers: (_channel, all, count, { joined, left }) =>
          seen.push(`${name}: ${names(all)} ${count} +${names(joined)} -${names(left)}`),
      });
    const seeing = listen("first", { watch: true });
    listen("second", { join: true });
    const peer = await relay.peers.next();
    expect((await peer.accept()).subscribe).toMatchObject([
      { channel: "c", presence: { join: true, watch: true } },
    ]);
    peer.subscribed("c", 0, false);
    const list = { op: "members", channel: "c", count: 1, members: [entry("a")], more: false };
    peer.send(list);
    await until("the list", () => seen.length === 1);
    expect(seen).toEqual(["first: a 1 +a -"]);
    listen("third", { watch: true });
    await until("the newcomer", () => seen.length === 2);
    expect(seen[1]).toBe("third: a 1 +a -");
    await peer.frames.next();
    peer.send({ op: "presence", channel: "c", count: 0, left: ["a"], joined: [] });
    await until("the leave", () => seen.length === 4);
    expect(seen.slice(2)).toEqual(["first:  0 + -a", "third:  0 + -a"]);
    seeing.close();
    client.close();
  });

  it("who listens no more to members is not seen any more, and the messages go on", async () => {
    const relay = await ScriptedRelay.start();
    onTestFinished(() => relay.stop());
    const client = new Page(relay.url).client("t");
    const joined = client.subscribe("c", { from: "live", presence: { join: true } });
    let isLive = false;
    client.subscribe("c", { from: "live", onSubscribed: () => (isLive = true) });
    const peer = await relay.peers.next();
    await peer.accept();
    peer.subscribed("c", 7, false);
    await until("the answer", () => isLive);
    joined.close();
    expect(await peer.frames.next()).toEqual({
      op: "subscribe",
      subscribe: [{ channel: "c", since: { epoch: "e1", seq: 7 } }],
    });
    client.close();
  });

  it("on a real relay: two pages see each other, a refusal leaves the messages", async () => {
    const relay = await presenceRelay({ presence: { grace: "0ms" } });
    const url = `ws://127.0.0.1:${relay.port}/ws`;
    const page = new Page(url);
    const seen: string[] = [];
    const client = page.client(() => presenceToken("SCOTT"));
    client.subscribe(ROOM, {
      presence: { join: true, watch: true },
      onMembers: (_channel, all) => seen.push(names(all)),
    });
    await until("oneself", () => seen.at(-1) === "SCOTT");
    const king = await Visitor.enter(relay, "KING");
    await until("the other", () => seen.at(-1) === "SCOTT,KING");
    await king.client.close();
    await until("the leave", () => seen.at(-1) === "SCOTT");
    const other = new Page(url);
    const live: string[] = [];
    const stranger = other.client(() => presenceToken("ADAMS", { claims: { presence: {} } }));
    stranger.subscribe(ROOM, {
      presence: { join: true, watch: true },
      onSubscribed: (channel) => live.push(channel),
    });
    await until("the refusal", () => other.errors.length > 0);
    expect(String(other.errors[0])).toContain("presence_forbidden");
    expect(live).toEqual([ROOM]);
    client.close();
    stranger.close();
  });
});

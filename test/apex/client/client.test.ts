import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StopError } from "../../../apex-plugins/client/token.ts";
import type { MessageFrame } from "../../../relay/contract/protocol.ts";
import { until } from "../../relay/support.ts";
import { Arrivals, Page, type Peer, ScriptedRelay } from "./kit.ts";

let relay: ScriptedRelay;
let page: Page;

beforeEach(async () => {
  relay = await ScriptedRelay.start();
  page = new Page(relay.url);
});

afterEach(async () => {
  page.connection.link.stop("test over");
  await relay.stop();
});

function listen(
  channels: string | string[],
  options: { token?: string | (() => Promise<string>); events?: string; client?: Page } = {},
) {
  const messages = new Arrivals<MessageFrame>();
  const batches = new Arrivals<number>();
  const answers = new Arrivals<[string, boolean]>();
  const denied = new Arrivals<[string, string]>();
  const suspended = new Arrivals<[string, string]>();
  const subscription = page.client(options.token).subscribe(channels, {
    events: options.events,
    onMessage: (message) => messages.push(message),
    onMessages: (burst) => batches.push(burst.length),
    onSubscribed: (channel, recovered) => answers.push([channel, recovered]),
    onSuspended: (channel, code) => suspended.push([channel, code]),
    onDenied: (channel, code) => denied.push([channel, code]),
  });
  return { messages, batches, answers, denied, suspended, subscription };
}

async function connected(channel = "sales", seq = 0): Promise<Peer> {
  const peer = await relay.peers.next();
  await peer.accept();
  peer.subscribed(channel, seq, true);
  return peer;
}

describe("connecting", () => {
  it("asks for all channels of the page's listeners in one frame, with the age of the page", async () => {
    listen(["a", "b"], { token: "t" });
    listen("c");
    const peer = await relay.peers.next();
    const frame = await peer.accept();
    const since = { ageMs: 1235 };
    expect(frame).toEqual({
      op: "connect",
      token: "t",
      subscribe: ["a", "b", "c"].map((channel) => ({ channel, since })),
    });
    expect(relay.peers.all).toHaveLength(1);
  });

  it("hands over only messages of the channel and event asked for", async () => {
    const { messages } = listen("sales", { events: "ping" });
    const peer = await connected();
    peer.message("other", 1);
    peer.message("sales", 1, { eventName: "pong" });
    peer.send({ payload: { itemName: "P1_X", value: 1 } });
    peer.message("sales", 2);
    expect((await messages.next()).seq).toBe(2);
    expect(messages.all).toHaveLength(1);
  });

  it("asks for the events of its listeners together, and goes on where position frames say", async () => {
    listen("sales", { events: "ping" });
    const peer = await relay.peers.next();
    const frame = await peer.accept();
    expect(frame.subscribe).toEqual([
      { channel: "sales", since: { ageMs: 1235 }, events: ["ping"] },
    ]);
    peer.send({ op: "subscribed", channel: "sales", epoch: "e1", seq: 4, recovered: true });
    for (const seq of ["x", 60, undefined]) peer.send({ op: "position", channel: "sales", seq });
    peer.send({ op: "position", channel: "unknown", seq: 1 });
    await expect
      .poll(() => page.connection.positions())
      .toEqual({
        sales: { epoch: "e1", seq: 60 },
      });
    listen("sales", { events: "pong" });
    expect(await peer.frames.next()).toMatchObject({
      subscribe: [{ since: { ageMs: 1235 }, events: ["ping", "pong"] }],
    });
    peer.terminate();
    const again = await relay.peers.next();
    expect((await again.accept()).subscribe).toMatchObject([{ events: ["ping", "pong"] }]);
    expect(page.errors).toEqual([]);
  });

  it("begins with the newest messages where that is asked for, and with the page's age where it is not known", async () => {
    const given: number[] = [];
    const { messages } = listen("sales");
    const client = page.client();
    const answers = new Arrivals<boolean>();
    client.subscribe("sales", {
      last: 2,
      onMessage: ({ seq }) => given.push(seq),
      onSubscribed: (_channel, recovered) => answers.push(recovered),
    });
    const peer = await relay.peers.next();
    expect((await peer.accept()).subscribe).toEqual([{ channel: "sales", since: { last: 2 } }]);
    const last = { sent: 2, complete: true };
    peer.send({ op: "subscribed", channel: "sales", epoch: "e1", seq: 9, recovered: false, last });
    peer.message("sales", 4);
    peer.message("sales", 9);
    // The other listener's turn.
    expect(await peer.frames.next()).toMatchObject({ subscribe: [{ since: { ageMs: 1235 } }] });
    peer.subscribed("sales", 9, true);
    for (const seq of [8, 9, 10]) peer.message("sales", seq);
    expect((await messages.until(({ seq }) => seq === 10)).seq).toBe(10);
    expect(messages.all.map(({ seq }) => seq)).toEqual([8, 9, 10]);
    expect(given).toEqual([4, 9, 10]);
    expect(answers.all).toEqual([true, true]);
    peer.terminate();
    const old = await relay.peers.next();
    await old.accept();
    // A relay of before.
    client.subscribe("prices", { last: 1 });
    const frame = await old.frames.until((one) => JSON.stringify(one).includes("prices"));
    expect(frame).toMatchObject({ subscribe: [{ since: { last: 1 } }] });
    old.send({ op: "error", code: "bad_since", channel: "prices", message: "?" });
    expect(await old.frames.next()).toEqual({
      op: "subscribe",
      subscribe: [{ channel: "prices", since: { ageMs: 1235 } }],
    });
    for (const wrong of [0, 11, 1.5, Number.NaN]) {
      expect(() => client.subscribe("x", { last: wrong })).toThrow(/last must be 1 to 10/);
    }
    expect(page.errors).toEqual([]);
  });

  it("frames that are no messages do no harm", async () => {
    const { messages } = listen("sales");
    const peer = await connected();
    for (const frame of ["null", "7", "[1]", '"x"', "{", '{"op":"later"}', '{"channel":"sales"}']) {
      peer.send(frame);
    }
    peer.message("sales", 1);
    expect((await messages.next()).seq).toBe(1);
    expect(page.errors).toHaveLength(1);
  });

  it("a relay that leaves out what it must say makes no storm and no error", async () => {
    let minted = 0;
    listen("sales", { token: async () => `t${++minted}` });
    const peer = await relay.peers.next();
    await peer.frames.next();
    let timers = 0;
    const { setTimeout: set } = globalThis;
    globalThis.setTimeout = ((...given: Parameters<typeof set>) => {
      timers++;
      return set(...given);
    }) as typeof set;
    try {
      peer.send({ op: "connected" });
      await page.statuses.until(({ state }) => state === "connected");
      for (const frame of [
        { op: "subscribed", channel: "sales" },
        { op: "subscribed" },
        { op: "refreshed" },
        { op: "error" },
        { op: "error", code: 7 },
        { op: "unsubscribed" },
        { op: "connected", pingMs: 1e300, expiresInMs: -5 },
        { op: "refreshed", expiresInMs: 0 },
        { channel: "sales", eventName: "ping", id: "x" },
      ]) {
        peer.send(frame);
      }
      peer.subscribed("sales", 1, true);
      peer.message("sales", 2);
      // Many turns of the event loop, in which a timer of 0 ms would fire each time.
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => set(resolve, 1));
    } finally {
      globalThis.setTimeout = set;
    }
    expect(timers).toBeLessThan(40);
    expect(minted).toBeLessThan(5);
    expect(page.errors.every((error) => String(error).startsWith("Error: rtm:"))).toBe(true);
  });

  it("hands a burst over in one call", async () => {
    const { batches } = listen("sales");
    const peer = await connected();
    for (let seq = 1; seq <= 200; seq++) peer.message("sales", seq);
    let sum = 0;
    while (sum < 200) sum += await batches.next();
    expect(sum).toBe(200);
    expect(batches.all.length).toBeLessThan(200);
  });

  it("a listener that throws takes nothing from the others", async () => {
    page.client().subscribe("sales", {
      onMessage() {
        throw new Error("mine");
      },
    });
    const { messages } = listen("sales");
    const peer = await connected();
    peer.message("sales", 1);
    await messages.next();
    expect(page.errors).toHaveLength(1);
  });

  it("a subscription that is closed gets nothing more, also in the middle of a burst", async () => {
    const second = { count: 0, close: () => {} };
    page.client().subscribe("sales", { onMessage: () => second.close() });
    second.close = page.client().subscribe("sales", { onMessage: () => second.count++ }).close;
    const third = listen("sales");
    const peer = await connected();
    peer.message("sales", 1);
    await third.messages.next();
    expect(second.count).toBe(0);
  });

  it("closes the socket with the last subscription and opens it with the next", async () => {
    const first = listen("a");
    const second = listen("b");
    const peer = await relay.peers.next();
    await peer.accept();
    await page.statuses.until(({ state }) => state === "connected");
    second.subscription.close();
    peer.send({ op: "error", code: "channel_forbidden", message: "no", channel: "b" });
    expect(await peer.frames.next()).toEqual({ op: "unsubscribe", channels: ["b"] });
    first.subscription.close();
    expect(await peer.closed).toBe(1000);
    expect(page.connection.link.status.state).toBe("idle");
    listen("a");
    await relay.peers.next();
  });
});

it("a client subscribes again with the token it has", async () => {
  const client = page.client("only");
  const first = client.subscribe("a", {});
  await (await relay.peers.next()).accept();
  await page.statuses.until(({ state }) => state === "connected");
  first.close();
  client.subscribe("b", {});
  expect((await (await relay.peers.next()).accept()).token).toBe("only");
});

describe("reconnecting", () => {
  it.each([1000, 1001, 1011, 4000, 4001, 4005])(
    "after close %i, at the position it had",
    async (code) => {
      const { messages } = listen("sales");
      const peer = await connected("sales", 3);
      peer.message("sales", 4);
      await messages.next();
      peer.close(code);
      const status = await page.statuses.until(({ state }) => state === "waiting");
      expect(status.code).toBe(code);
      const frame = await (await relay.peers.next()).accept();
      expect(frame.subscribe).toEqual([{ channel: "sales", since: { epoch: "e1", seq: 4 } }]);
    },
  );

  it("after a crash of the relay (1006)", async () => {
    listen("sales");
    (await connected()).terminate();
    await relay.peers.next();
  });

  it.each([1009, 4200, 4202, 4204])("stops after close %i", async (code) => {
    listen("sales");
    (await connected()).close(code);
    const status = await page.statuses.until(({ state }) => state === "stopped");
    expect(status.code).toBe(code);
  });

  it("takes a silent relay for dead and answers one that pings", async () => {
    listen("sales");
    const peer = await relay.peers.next();
    await peer.accept({ pingMs: 50 });
    peer.send({ op: "ping" });
    expect(await peer.frames.next()).toEqual({ op: "pong" });
    const status = await page.statuses.until(({ state }) => state === "waiting");
    expect(status.code).toBe("heartbeat_timeout");
    await relay.peers.next();
  });

  it("a page that comes back from the back-forward cache goes on where it was", async () => {
    const { messages } = listen("sales");
    const peer = await connected();
    peer.message("sales", 1);
    await messages.next();
    page.connection.link.pause();
    expect(await peer.closed).toBe(1000);
    page.connection.link.wake();
    expect(page.connection.link.status.state).toBe("paused");
    page.connection.link.resume();
    const frame = await (await relay.peers.next()).accept();
    expect(frame.subscribe?.[0]?.since).toEqual({ epoch: "e1", seq: 1 });
  });

  it("a page that was parked goes on where it was, with a new token when its own has ended", async () => {
    let minted = 0;
    const { messages } = listen("sales", { token: async () => `t${++minted}` });
    const peer = await relay.peers.next();
    await peer.accept({ expiresInMs: 30 });
    peer.subscribed("sales", 0, true);
    peer.message("sales", 1);
    await messages.next();
    page.connection.link.park();
    expect(await peer.closed).toBe(1000);
    expect(page.connection.link.status.state).toBe("parked");
    page.connection.link.wake();
    page.connection.link.resume();
    expect(page.connection.link.status.state).toBe("parked");
    await new Promise((resolve) => setTimeout(resolve, 40));
    page.connection.link.resume("parked");
    const frame = await (await relay.peers.next()).accept();
    expect(frame.token).toBe("t2");
    expect(frame.subscribe?.[0]?.since).toEqual({ epoch: "e1", seq: 1 });
  });

  it("does not hand over what the tab's earlier page has had", async () => {
    const before = { sales: { epoch: "e1", seq: 7 }, other: { epoch: "e0", seq: 900 } };
    page = new Page(relay.url, before);
    const { messages } = listen(["sales", "other"]);
    const peer = await relay.peers.next();
    const frame = await peer.accept();
    expect(frame.subscribe?.map(({ since }) => since)).toEqual([{ ageMs: 1235 }, { ageMs: 1235 }]);
    peer.subscribed("sales", 8, true);
    peer.subscribed("other", 2, true);
    for (const seq of [6, 7, 8]) peer.message("sales", seq);
    peer.message("other", 1);
    await messages.until(({ channel }) => channel === "other");
    expect(messages.all.map(({ channel, seq }) => `${channel} ${seq}`)).toEqual([
      "sales 8",
      "other 1",
    ]);
    expect(page.connection.positions()).toEqual({
      sales: { epoch: "e1", seq: 8 },
      other: { epoch: "e1", seq: 1 },
    });
  });

  it("says when messages may be missing, and delivers what follows", async () => {
    const { messages, answers } = listen("sales");
    const first = await connected("sales", 5);
    first.message("sales", 6);
    await messages.next();
    first.terminate();
    const second = await relay.peers.next();
    await second.accept();
    second.subscribed("sales", 2, false, "e2");
    second.message("sales", 3);
    expect((await messages.next()).seq).toBe(3);
    expect(answers.all).toEqual([
      ["sales", true],
      ["sales", false],
    ]);
  });

  it("drops what it has seen: by seq, and by id after the relay lost its memory", async () => {
    const { messages } = listen("sales");
    const first = await connected();
    first.message("sales", 1, { id: "x" });
    first.message("sales", 1, { id: "x" });
    await messages.next();
    first.terminate();
    const second = await relay.peers.next();
    await second.accept();
    second.subscribed("sales", 0, false, "e2");
    second.message("sales", 1, { id: "x" });
    second.message("sales", 2, { id: "y" });
    expect((await messages.next()).id).toBe("y");
    expect(messages.all).toHaveLength(2);
  });

  it("a second listener of a channel gets what was before it, the first nothing twice", async () => {
    const first = listen("sales");
    const peer = await connected("sales", 1);
    peer.message("sales", 1);
    await first.messages.next();
    const second = listen("sales");
    expect(await peer.frames.next()).toEqual({
      op: "subscribe",
      subscribe: [{ channel: "sales", since: { ageMs: 1235 } }],
    });
    peer.subscribed("sales", 1, true);
    peer.message("sales", 1);
    peer.message("sales", 2);
    expect((await second.messages.next()).seq).toBe(1);
    await second.messages.next();
    await first.messages.next();
    expect(first.messages.all.map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe("tokens", () => {
  it.each([4100, 4101])("asks for a new one after close %i", async (code) => {
    const reasons: string[] = [];
    page.client((reason) => `token ${reasons.push(reason)}`).subscribe("sales", { onMessage() {} });
    const first = await relay.peers.next();
    expect((await first.frames.next()).op).toBe("connect");
    first.close(code);
    const frame = await (await relay.peers.next()).accept();
    expect(frame.token).toBe("token 2");
    expect(reasons).toEqual(["initial", `closed with ${code}`]);
  });

  it("backs off while tokens are refused", async () => {
    let asked = 0;
    page.client(() => `token ${++asked}`).subscribe("sales", { onMessage() {} });
    for (let round = 0; round < 4; round++) {
      const peer = await relay.peers.next();
      await peer.frames.next();
      peer.close(4101);
    }
    const waits = page.statuses.all.filter(({ state }) => state === "waiting");
    expect(waits.slice(0, 3).map(({ retryInMs }) => retryInMs)).toEqual([0, 40, 80]);
  });

  it("stops when a token that cannot be renewed is refused, and says so", async () => {
    const { denied } = listen("sales", { token: "only" });
    const peer = await relay.peers.next();
    await peer.frames.next();
    peer.close(4101);
    await page.statuses.until(({ state }) => state === "stopped");
    expect(denied.all).toEqual([["sales", "closed with 4101"]]);
  });

  it.each(["token_subject_mismatch", "token_limit", "too_many_connections"])(
    "listeners bring their tokens to one socket, one after the other; %s ends one",
    async (code) => {
      listen("a", { token: "ta" });
      const second = listen("b", { token: "tb" });
      const third = listen("c", { token: "tc" });
      const peer = await relay.peers.next();
      expect((await peer.accept()).token).toBe("ta");
      expect(await peer.frames.next()).toMatchObject({
        op: "subscribe",
        token: "tb",
        subscribe: [{ channel: "b" }],
      });
      peer.send({ op: "error", code, message: "not this one" });
      peer.send({ op: "error", code: "channel_forbidden", message: "no", channel: "b" });
      expect(await peer.frames.next()).toEqual({ op: "unsubscribe", channels: ["b"] });
      expect(await peer.frames.next()).toMatchObject({ op: "subscribe", token: "tc" });
      peer.send({ op: "refreshed", expiresInMs: 1000 });
      peer.subscribed("c", 0, true);
      peer.message("c", 1);
      await third.messages.next();
      expect(second.denied.all).toEqual([["b", code]]);
      expect(relay.peers.all).toHaveLength(1);
    },
  );

  it("renews before the end and presents the new one", async () => {
    let minted = 0;
    listen("sales", { token: async () => `t${++minted}` });
    const peer = await relay.peers.next();
    await peer.accept({ expiresInMs: 1_300 });
    peer.subscribed("sales", 0, true);
    expect(await peer.frames.next()).toEqual({ op: "refresh", token: "t2" });
    peer.send({ op: "refreshed", expiresInMs: 1_300 });
    expect(await peer.frames.next()).toEqual({ op: "refresh", token: "t3" });
  });

  it("a token that comes late continues at the position where the right ended", async () => {
    const late: ((token: string) => void)[] = [];
    const { messages } = listen("sales", {
      token: () => new Promise((resolve) => late.push(resolve)),
    });
    expect((await page.statuses.until(({ state }) => state === "token")).state).toBe("token");
    late[0]?.("t1");
    const peer = await connected("sales", 7);
    peer.message("sales", 8);
    await messages.next();
    peer.send({ op: "unsubscribed", channel: "sales", code: "token_expired" });
    peer.close(4100);
    await page.statuses.until(({ state }) => state === "token");
    late[1]?.("t2");
    const frame = await (await relay.peers.next()).accept();
    expect(frame).toEqual({
      op: "connect",
      token: "t2",
      subscribe: [{ channel: "sales", since: { epoch: "e1", seq: 8 } }],
    });
  });

  it("one of two tokens ends: its channel comes back with the next, the socket stays", async () => {
    let minted = 0;
    listen("a", { token: "ta" });
    listen("b", { token: async () => `tb${++minted}` });
    const peer = await relay.peers.next();
    await peer.accept();
    expect(await peer.frames.next()).toMatchObject({ op: "subscribe", token: "tb1" });
    peer.send({ op: "refreshed", expiresInMs: 600_000 });
    peer.subscribed("b", 3, true);
    peer.message("b", 3);
    peer.send({ op: "unsubscribed", channel: "b", code: "token_expired" });
    expect(await peer.frames.next()).toEqual({
      op: "subscribe",
      token: "tb2",
      subscribe: [{ channel: "b", since: { epoch: "e1", seq: 3 } }],
    });
    expect(relay.peers.all).toHaveLength(1);
  });

  it("an ended session stops the client", async () => {
    const { denied } = listen("sales", {
      token: () => Promise.reject(new StopError("session_ended")),
    });
    const status = await page.statuses.until(({ state }) => state === "stopped");
    expect(status.code).toBe("session_ended");
    expect(denied.all).toEqual([["sales", "session_ended"]]);
  });

  it("a source without further tokens ends its own channels, the others go on", async () => {
    listen("open");
    const { denied } = listen("a", {
      token: () => Promise.reject(new StopError("not_authorized")),
    });
    await (await relay.peers.next()).accept();
    expect(await denied.next()).toEqual(["a", "not_authorized"]);
    expect(page.connection.link.status.state).not.toBe("stopped");
  });

  it("a provider that fails is asked again", async () => {
    let asked = 0;
    listen("sales", {
      token: async () => {
        if (++asked < 3) throw new Error("no network");
        return "t";
      },
    });
    expect((await (await relay.peers.next()).accept()).token).toBe("t");
    expect(page.errors).toHaveLength(2);
  });

  it("a channel the token does not grant is refused to its listener alone", async () => {
    const { denied } = listen("secret", { token: "t" });
    const { answers } = listen("sales", { token: "t2" });
    const peer = await relay.peers.next();
    await peer.accept();
    peer.send({ op: "error", code: "channel_forbidden", message: "no", channel: "secret" });
    await peer.frames.until((frame) => frame.op === "subscribe");
    peer.send({ op: "refreshed", expiresInMs: 600_000 });
    peer.subscribed("sales", 0, true);
    await answers.next();
    expect(denied.all).toEqual([["secret", "channel_forbidden"]]);
  });

  it("listeners that try again when they are refused are told once for each try", async () => {
    const told: string[] = [];
    const client = page.client("t");
    const again = (name: string) => {
      const subscription = client.subscribe("secret", {
        onDenied() {
          told.push(name);
          subscription.close();
          if (told.length < 100) again(name);
        },
      });
    };
    again("a");
    again("b");
    const peer = await relay.peers.next();
    await peer.accept();
    peer.send({ op: "error", code: "channel_forbidden", message: "no", channel: "secret" });
    await peer.frames.until((frame) => frame.op === "subscribe");
    expect(told).toEqual(["a", "b"]);
  });

  it("one that is closed by another's handler, or its own, is told nothing more", async () => {
    const client = page.client("t");
    const told: string[] = [];
    const first = client.subscribe("sales", {
      onSubscribed: () => told.push("first"),
      onMessage({ seq }) {
        told.push(`first ${seq}`);
        first.close();
      },
      onMessages: () => told.push("burst"),
      onEvent() {
        told.push("event");
        client.subscribe("sales", { onEvent: () => told.push("newcomer") });
        second.close();
      },
    });
    const second = client.subscribe("sales", { onEvent: () => told.push("second") });
    const peer = await connected();
    const from = { user: "u", conn: "c" };
    peer.send({ op: "event", channel: "sales", eventName: "client:x", from, ts: 1, payload: 1 });
    peer.message("sales", 1);
    peer.message("sales", 2);
    peer.message("sales", 3);
    await until("the message", () => told.length >= 3);
    peer.send({ op: "error", code: "bad_frame", message: "the last frame" });
    await until("the last frame", () => page.errors.length > 0);
    expect(told).toEqual(["first", "event", "first 1"]);
  });

  it("without a token, one that is required is waited for, and serves the others too", async () => {
    listen("sales");
    const peer = await relay.peers.next();
    await peer.frames.next();
    peer.close(4102);
    expect((await page.statuses.until(({ state }) => state === "token")).code).toBe(4102);
    listen("orders", { token: "t" });
    const frame = await (await relay.peers.next()).accept();
    expect(frame.token).toBe("t");
    expect(frame.subscribe?.map(({ channel }) => channel)).toEqual(["sales", "orders"]);
  });

  it("a token that ends takes nothing from a public channel, and its own channel says so", async () => {
    const late: ((token: string) => void)[] = [];
    const open = listen("open");
    const own = listen("own", { token: () => new Promise((resolve) => late.push(resolve)) });
    await page.statuses.until(({ state }) => state === "connecting");
    late[0]?.("t1");
    const first = await relay.peers.next();
    const hello = await first.accept();
    if (hello.token === undefined) {
      await first.frames.until((frame) => "token" in frame && frame.token === "t1");
      first.send({ op: "refreshed", expiresInMs: 600_000 });
    }
    first.subscribed("open", 0, true);
    first.subscribed("own", 5, true);
    first.message("own", 5);
    await own.messages.next();
    first.close(4100);
    expect(await own.suspended.next()).toEqual(["own", "closed with 4100"]);
    const second = await relay.peers.next();
    const frame = await second.accept({ expiresInMs: null });
    expect(frame.token).toBeUndefined();
    expect(frame.subscribe?.map(({ channel }) => channel)).toEqual(["open"]);
    second.subscribed("open", 0, true);
    second.message("open", 1);
    await open.messages.next();
    expect(open.suspended.all).toEqual([]);
    late[1]?.("t2");
    expect(await second.frames.until((sent) => sent.op === "subscribe")).toEqual({
      op: "subscribe",
      token: "t2",
      subscribe: [{ channel: "own", since: { epoch: "e1", seq: 5 } }],
    });
  });

  it("one token for several listeners is presented once", async () => {
    let asked = 0;
    const renew = async () => {
      asked++;
      return "for all";
    };
    for (const channel of ["a", "b", "c"]) listen(channel, { token: renew });
    const peer = await relay.peers.next();
    const frame = await peer.accept();
    expect(frame.token).toBe("for all");
    for (const channel of ["b", "c"]) {
      const sent = await peer.frames.until((other) => other.op === "subscribe");
      expect(sent).toEqual({ op: "subscribe", subscribe: [{ channel, since: { ageMs: 1235 } }] });
    }
    expect(asked).toBe(3);
    expect(peer.frames.all.filter(({ op }) => op === "refresh")).toEqual([]);
  });
});

describe("an answer that nobody asked for", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => vi.useRealTimers());

  const anew = { op: "subscribed", channel: "sales", recovered: false, spreadMs: 10_000 };

  it("is told of at a random moment of the spread; messages are handed over meanwhile", async () => {
    const { answers, messages } = listen("sales");
    const peer = await connected();
    expect(await answers.next()).toEqual(["sales", true]);
    peer.send({ ...anew, epoch: "e2", seq: 0 });
    peer.message("sales", 1);
    expect((await messages.next()).seq).toBe(1);
    vi.advanceTimersByTime(199);
    expect(answers.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(answers.all).toEqual([
      ["sales", true],
      ["sales", false],
    ]);
  });

  it("stays due when the page reconnects and recovers, and comes once", async () => {
    const { answers, messages } = listen("sales");
    const peer = await connected();
    await answers.next();
    peer.send({ ...anew, epoch: "e2", seq: 0 });
    peer.send({ ...anew, epoch: "e3", seq: 0 });
    peer.subscribed("sales", 1, true, "e3");
    peer.message("sales", 1);
    await messages.next();
    expect(answers.all).toEqual([
      ["sales", true],
      ["sales", true],
    ]);
    vi.advanceTimersByTime(10_000);
    expect(answers.all.slice(2)).toEqual([["sales", false]]);
  });

  it("is not told twice when the page has to be told at once, nor after the end", async () => {
    const { answers, messages, subscription } = listen("sales");
    const peer = await connected();
    await answers.next();
    peer.send({ ...anew, epoch: "e2", seq: 0 });
    peer.subscribed("sales", 0, false, "e3");
    expect(await answers.next()).toEqual(["sales", false]);
    peer.send({ ...anew, epoch: "e4", seq: 0 });
    peer.message("sales", 1);
    await messages.next();
    subscription.close();
    vi.advanceTimersByTime(10_000);
    expect(answers.all).toHaveLength(2);
  });
});

/** When a page leaves its WebSockets and when it comes back, by a hand clock and sockets of the test. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Environment } from "../../../apex-plugins/client/environment.ts";
import { publish } from "../../../apex-plugins/client/events.ts";
import { Fallback } from "../../../apex-plugins/client/fallback.ts";
import type { Http } from "../../../apex-plugins/client/http-socket.ts";
import { Members } from "../../../apex-plugins/client/members.ts";
import type { SocketHandlers } from "../../../apex-plugins/client/socket.ts";
import { Ways } from "../../../apex-plugins/client/ways.ts";

const PING_MS = 25_000;
const CONNECTED = '{"op":"connected"}';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Opened extends SocketHandlers {
  abandoned: boolean;
  readonly sent: string[];
}

/** A page: its WebSockets, what its tab remembers, and whether its second file can be had. */
class Surroundings {
  readonly webSockets: Opened[] = [];
  watched = true;
  loads = 0;
  missing = false;
  stored: string | undefined;
  readonly told: unknown[] = [];
  readonly ways: Ways;
  readonly lost: unknown[] = [];

  constructor(stored?: string) {
    this.stored = stored;
    const page: Http = {
      stored: () => this.stored,
      store: (_url, via) => {
        this.stored = via;
      },
      // Requests wait for ever: what counts here is which way is taken.
      slot: () => new Promise(() => {}),
    };
    const environment: Environment = {
      more: async () => {
        this.loads++;
        if (this.missing) throw new Error("404");
        return { Members, publish, fallback: (options) => new Fallback(page, options) };
      },
      fallback: { watched: () => this.watched, stored: () => this.stored !== undefined },
      connect: (_url, handlers) => {
        const opened: Opened = { ...handlers, abandoned: false, sent: [] };
        this.webSockets.push(opened);
        return {
          send: (text) => opened.sent.push(text),
          abandon() {
            opened.abandoned = true;
          },
        };
      },
      beforeFrame: (task) => task(),
      pageAgeMs: () => 0,
      random: Math.random,
      positionsBefore: () => ({}),
      report() {},
    };
    this.ways = new Ways(
      environment,
      "ws://relay.example/ws",
      (_socket, connected) => {
        this.told.push(connected);
        return this.handlers();
      },
      (code) => this.told.push(code ?? this.ways.via),
    );
  }

  handlers(): SocketHandlers {
    return { open() {}, frame() {}, close: (code) => this.lost.push(code) };
  }

  /** Opens what is to be tried now, and lets promises have their turns. */
  async open() {
    const socket = this.ways.open(this.handlers());
    await vi.advanceTimersByTimeAsync(0);
    return socket;
  }

  /** A socket that is not answered, or lives for so long. */
  async loses(livedMs?: number, code = 1006) {
    await this.open();
    if (livedMs !== undefined) this.ways.connected();
    this.ways.lost(code, livedMs, PING_MS);
    await vi.advanceTimersByTimeAsync(0);
  }
}

it("a stream after two sockets without an answer; the file is there after the first", async () => {
  const page = new Surroundings();
  await page.loses();
  expect([page.loads, page.ways.via]).toEqual([1, "websocket"]);
  await page.loses();
  await page.open();
  expect(page.ways.via).toBe("stream");
  expect(page.webSockets).toHaveLength(2);
});

it("a stream after three that died within a ping interval, whatever was between; not after old ones", async () => {
  const page = new Surroundings();
  for (const livedMs of [100, 100, PING_MS, 100, 100]) await page.loses(livedMs);
  expect(page.ways.via).toBe("websocket");
  await page.loses(100);
  await page.open();
  expect(page.ways.via).toBe("stream");
});

it.each([
  ["the relay's own close codes", {}, [undefined, undefined, undefined], 4000],
  ["a page that nobody sees", { watched: false }, [undefined, undefined, undefined], 1006],
  ["an outage after a WebSocket that was answered", {}, [PING_MS, undefined, undefined], 1006],
] as const)("%s do not count", async (_what, more, lives, code) => {
  const page = Object.assign(new Surroundings(), more);
  for (const livedMs of lives) await page.loses(livedMs, livedMs === undefined ? code : 1006);
  await page.open();
  expect([page.ways.via, page.loads]).toEqual(["websocket", 0]);
});

it("after an outage misses count again once the browser is back online", async () => {
  const page = new Surroundings();
  await page.loses(PING_MS);
  page.ways.online(false);
  for (let n = 0; n < 2; n++) await page.loses();
  await page.open();
  expect(page.ways.via).toBe("stream");
});

it("a page that is not to fall back never fetches the file", async () => {
  const page = new Surroundings("stream");
  page.ways.enabled = false;
  for (let n = 0; n < 4; n++) await page.loses();
  expect([page.ways.via, page.ways.impatient, page.loads]).toEqual(["websocket", false, 0]);
});

it("where the file cannot be had the page goes on with WebSockets, says so, and asks again", async () => {
  const page = new Surroundings();
  page.missing = true;
  for (let n = 0; n < 3; n++) await page.loses();
  expect([page.ways.via, page.webSockets.length]).toEqual(["websocket", 3]);
  expect(page.told).toEqual(Array(3).fill("fallback_not_loaded"));
  page.missing = false;
  for (let n = 0; n < 2; n++) await page.loses();
  await page.open();
  expect(page.ways.via).toBe("stream");
});

it("the tab's earlier page had a stream: this one begins with it, and with WebSockets if it has no file", async () => {
  const page = new Surroundings("stream");
  await page.open();
  expect([page.ways.via, page.webSockets.length]).toEqual(["stream", 0]);
  const polls = new Surroundings("poll");
  await polls.open();
  expect(polls.ways.via).toBe("poll");
  const without = new Surroundings("stream");
  without.missing = true;
  await without.open();
  expect(without.lost).toEqual(["fallback_not_loaded"]);
  await without.open();
  expect(without.webSockets).toHaveLength(1);
});

it("what is abandoned while the file is under way opens nothing", async () => {
  const page = new Surroundings("stream");
  const socket = page.ways.open(page.handlers());
  socket.abandon();
  await vi.advanceTimersByTimeAsync(0);
  expect(page.told).toEqual([]);
  expect(page.lost).toEqual([]);
});

it("where a stream fails too, each way is tried in turn", async () => {
  const page = new Surroundings();
  const taken: string[] = [];
  for (let n = 0; n < 6; n++) {
    await page.loses();
    taken.push(page.ways.via);
  }
  expect(taken).toEqual(["websocket", "websocket", "stream", "websocket", "stream", "websocket"]);
});

describe("on a stream it", () => {
  /** On a stream that is answered. */
  async function streaming(page = new Surroundings()): Promise<Surroundings> {
    for (let n = 0; n < 2; n++) await page.loses();
    await page.open();
    page.ways.connected();
    return page;
  }
  const tried = (page: Surroundings, ms: number) => {
    const before = page.webSockets.length;
    vi.advanceTimersByTime(ms);
    return page.webSockets.length - before;
  };

  it("tries a WebSocket at once, then after 1, 2, 4 … 30 minutes, each for 15 s", async () => {
    const page = await streaming();
    expect(page.stored).toBe("stream");
    expect(tried(page, 0)).toBe(1);
    for (const minutes of [1, 2, 4, 8, 16, 30, 30]) {
      expect(tried(page, 14_999)).toBe(0);
      expect(page.webSockets.at(-1)?.abandoned).toBe(false);
      expect(tried(page, 1)).toBe(0);
      expect(page.webSockets.at(-1)?.abandoned).toBe(true);
      expect(tried(page, minutes * 60_000 - 1)).toBe(0);
      expect(tried(page, 1)).toBe(1);
    }
  });

  it("not at once where the tab knew it before", async () => {
    const page = new Surroundings("stream");
    await page.open();
    page.ways.connected();
    expect(tried(page, 59_999)).toBe(0);
    expect(tried(page, 1)).toBe(1);
  });

  it("once the relay answers there, it takes over, and the tab forgets the other way", async () => {
    const page = await streaming();
    vi.advanceTimersByTime(0);
    const socket = page.webSockets.at(-1)!;
    socket.open();
    expect(JSON.parse(socket.sent[0]!)).toEqual({ op: "connect" });
    socket.frame('{"op":"ping"}');
    expect(page.ways.via).toBe("stream");
    socket.frame(CONNECTED);
    page.ways.connected();
    expect(page.told.at(-1)).toBe(CONNECTED);
    expect([page.ways.via, page.stored]).toEqual(["websocket", undefined]);
    socket.close(1006);
    expect(page.lost).toEqual([1006]);
    expect(tried(page, 3_600_000)).toBe(0);
  });

  it("one that dies soon after it took over is the last of the series", async () => {
    const page = new Surroundings();
    for (let n = 0; n < 3; n++) await page.loses(100);
    await page.open();
    page.ways.connected();
    expect(tried(page, 59_999)).toBe(0);
    vi.advanceTimersByTime(1);
    page.webSockets.at(-1)!.frame(CONNECTED);
    page.ways.connected();
    // What the tab remembers stays until a WebSocket has lived.
    expect([page.ways.via, page.stored]).toEqual(["websocket", "stream"]);
    page.ways.lost(1006, 100, PING_MS);
    await page.open();
    expect(page.ways.via).toBe("stream");
  });

  it("whenever the browser comes online, and not while nothing is wanted", async () => {
    const page = await streaming();
    vi.advanceTimersByTime(15_000);
    const before = page.webSockets.length;
    page.ways.online(true);
    expect(page.webSockets).toHaveLength(before + 1);
    page.ways.rest();
    expect(page.webSockets.at(-1)?.abandoned).toBe(true);
    expect(tried(page, 3_600_000)).toBe(0);
    page.ways.online(false);
    expect(page.webSockets).toHaveLength(before + 1);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, closeAction } from "../../../apex-plugins/client/backoff.ts";
import { Channel, Listener, type Start } from "../../../apex-plugins/client/channel.ts";
import { relayUrl } from "../../../apex-plugins/client/url.ts";
import {
  CLOSE,
  MAX_EVENTS,
  type MessageFrame,
  type Since,
} from "../../../relay/contract/protocol.ts";

/** A relay's memory of one channel, as docs/protocol.md describes it. */
class Memory {
  epoch = 1;
  seq = 0;
  evictedUpTo = 0;
  /** Number of the first publication this epoch knows of. */
  bornAt = 0;
  readonly published: { seq: number; n: number }[] = [];
  #sent = 0;

  publish(n: number): MessageFrame {
    this.seq++;
    this.published.push({ seq: this.seq, n });
    return this.frame(this.seq, n);
  }

  /** No id comes twice, so that only positions can remove duplicates. */
  frame(seq: number, n: number): MessageFrame {
    return { channel: "c", eventName: eventOf(n), payload: n, id: `id${this.#sent++}`, seq, ts: 0 };
  }

  crash(n: number): void {
    this.epoch++;
    this.seq = 0;
    this.evictedUpTo = 0;
    this.bornAt = n;
    this.published.length = 0;
  }

  /** `navigatedAt` stands for the age: the number of publications before the navigation. */
  subscribe(since: Since | undefined, navigatedAt: number, events?: readonly string[]) {
    const wanted = (frame: MessageFrame) => !events || events.includes(frame.eventName);
    const after = (from: number) =>
      this.published.filter(({ seq }) => seq > from).map(({ seq, n }) => this.frame(seq, n));
    let recovered = false;
    let replay: MessageFrame[] = [];
    if (since && "ageMs" in since) {
      const from = this.published.findLast(({ n }) => n < navigatedAt)?.seq ?? 0;
      recovered = navigatedAt > this.bornAt && from >= this.evictedUpTo;
      if (recovered) replay = after(from);
    } else if (since && "epoch" in since) {
      recovered =
        since.epoch === `e${this.epoch}` && since.seq <= this.seq && since.seq >= this.evictedUpTo;
      if (recovered) replay = after(since.seq);
    }
    replay = replay.filter(wanted);
    return { epoch: `e${this.epoch}`, seq: this.seq, recovered, replay, wanted };
  }
}

/** Of three messages two have the one event, one has the other. */
const eventOf = (n: number) => (n % 3 === 0 ? "f" : "e");

function listener(start: Start, seen: (string | number)[], events?: string[]): Listener {
  const on = {
    onMessages() {},
    onSubscribed: (_channel: string, recovered: boolean) => {
      if (!recovered) seen.push("lost");
    },
    onSuspended() {},
    onDenied() {},
    onMembers() {},
  };
  return new Listener(events && new Set(events), start, undefined, on, 0);
}

describe("positions", () => {
  it("every listener sees each message once and in order, or is told that some may be missing", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant("publish") },
      { weight: 2, arbitrary: fc.constant("cut") },
      { weight: 2, arbitrary: fc.constant("reconnect") },
      fc.constant("evict"),
      fc.constant("crash"),
      fc.constantFrom("join", "join e", "join f"),
      fc.constant("cut-in-replay"),
      fc.constant("ping"),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const memory = new Memory();
        const channel = new Channel("c");
        const streams: { seen: (string | number)[]; events: string[]; listener: Listener }[] = [];
        const navigatedAt = 1;
        let n = 0;
        let live = false;
        let wanted: (frame: MessageFrame) => boolean = () => true;
        const take = (frame: MessageFrame) => {
          const takers = channel.accept(frame);
          for (const stream of streams) {
            if (takers.includes(stream.listener)) stream.seen.push(frame.payload as number);
          }
        };
        const subscribe = (most = Number.POSITIVE_INFINITY) => {
          const since = channel.since(1);
          channel.reset();
          channel.asked(undefined, since);
          const { events } = channel;
          const answer = memory.subscribe(since, navigatedAt, events);
          channel.subscribed(answer.epoch, answer.seq, answer.recovered, { events });
          answer.replay.slice(0, most).forEach(take);
          live = answer.replay.length <= most;
          wanted = answer.wanted;
          if (live && events) channel.moved(answer.seq);
        };
        const join = (...events: string[]) => {
          const seen: (string | number)[] = [];
          const filter = events.length > 0 ? events : undefined;
          const joined = { seen, events, listener: listener("page", seen, filter) };
          streams.push(joined);
          channel.listeners.add(joined.listener);
        };
        memory.publish(n++);
        if (steps[0] === "ping") join("f");
        else join();
        subscribe();
        for (const action of steps) {
          if (action === "publish") {
            const frame = memory.publish(n++);
            if (live && wanted(frame)) take(frame);
          } else if (action === "ping") {
            if (live && channel.events) channel.moved(memory.seq);
          } else if (action === "cut") live = false;
          else if (action === "reconnect") subscribe();
          else if (action === "cut-in-replay") subscribe(1);
          else if (action === "evict") memory.evictedUpTo = Math.max(0, memory.seq - 1);
          else if (action === "crash") {
            memory.crash(n);
            live = false;
          } else if (streams.length < 3) {
            join(...action.split(" ").slice(1));
            if (live) subscribe();
          }
        }
        subscribe();
        for (const { seen, events } of streams) {
          const next = (from: number) => {
            let n = from;
            while (events.length > 0 && !events.includes(eventOf(n))) n++;
            return n;
          };
          let expected = next(navigatedAt);
          let lost = false;
          for (const value of seen) {
            if (value === "lost") lost = true;
            else {
              if (lost) expect(value).toBeGreaterThanOrEqual(expected);
              else expect(value).toBe(expected);
              expected = next((value as number) + 1);
              lost = false;
            }
          }
          const forgotten = steps.includes("crash") || steps.includes("evict");
          if (!forgotten) expect(seen).not.toContain("lost");
          if (!lost) expect(expected).toBe(next(Math.max(n, navigatedAt)));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("a listener that starts at a position of another epoch has lost messages", () => {
    const seen: (string | number)[] = [];
    const channel = new Channel("c");
    channel.listeners.add(listener({ epoch: "e1", seq: 3 }, []));
    channel.listeners.add(listener({ epoch: "e0", seq: 9 }, seen));
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e1", 4, true);
    expect(seen).toEqual(["lost"]);
  });

  it("a position frame moves listeners, not back, not of another epoch, not those not answered", () => {
    const channel = new Channel("c");
    const all = [listener("page", [], ["e"]), listener("live", [], ["e"])];
    for (const one of all) channel.listeners.add(one);
    channel.asked(undefined, channel.since(5));
    channel.moved(7);
    expect(all.map(({ position }) => position)).toEqual([undefined, undefined]);
    channel.subscribed("e1", 9, true, { events: ["e"] });
    channel.moved(12);
    channel.moved(10);
    const late = listener({ epoch: "e1", seq: 3 }, [], ["f"]);
    channel.listeners.add(late);
    channel.moved(13);
    expect(all.map(({ position }) => position)).toEqual([
      { epoch: "e1", seq: 13 },
      { epoch: "e1", seq: 13 },
    ]);
    expect(late.position).toEqual({ epoch: "e1", seq: 3 });
  });

  it("what comes before its answer does not move a newcomer past what it asked for", () => {
    const memory = new Memory();
    const channel = new Channel("c");
    channel.listeners.add(listener("page", [], ["e"]));
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e1", 0, true, { events: ["e"] });
    const seen: (string | number)[] = [];
    const late = listener("page", seen, ["f"]);
    channel.listeners.add(late);
    // The answer to an earlier question, which had other events.
    channel.subscribed("e1", 1, true, { events: ["e"] });
    expect(channel.accept(memory.frame(2, 1))).toHaveLength(1);
    expect(late.position).toBeUndefined();
    channel.subscribed("e1", 2, true, { events: ["e", "f"] });
    expect(channel.accept(memory.frame(1, 3))).toEqual([late]);
  });

  it("listeners ask for their events together, and for all when there are too many", () => {
    const channel = new Channel("c");
    const names = Array.from({ length: MAX_EVENTS }, (_, n) => `e${n}`);
    channel.listeners.add(listener("page", [], names.slice(0, 15)));
    channel.listeners.add(listener("page", [], names.slice(10)));
    expect(channel.events).toEqual(names);
    channel.listeners.add(listener("page", [], ["another"]));
    expect(channel.events).toBeUndefined();
    const other = new Channel("c");
    other.listeners.add(listener("page", [], ["a"]));
    other.listeners.add(listener("page", []));
    expect(other.events).toBeUndefined();
  });

  it("a live listener starts with the next message", () => {
    const seen: (string | number)[] = [];
    const channel = new Channel("c");
    const late = listener("live", seen);
    channel.listeners.add(late);
    expect(channel.since(5)).toBeUndefined();
    channel.asked(undefined, undefined);
    channel.subscribed("e1", 9, false);
    expect(seen).toEqual([]);
    expect(late.position).toEqual({ epoch: "e1", seq: 9 });
  });
});

describe("close codes", () => {
  it("every code of the protocol has the action of its range", () => {
    for (const code of Object.values(CLOSE)) {
      const action = code < 4100 ? "reconnect" : code < 4200 ? "token" : "stop";
      expect(closeAction(code)).toBe(action);
    }
    expect([1000, 1001, 1006, 1008, 1011, 1009].map(closeAction)).toEqual([
      ...Array(5).fill("reconnect"),
      "stop",
    ]);
  });

  it("backoff grows from 1 s to 30 s with full jitter", () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoffMs(attempt, () => 1))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
    ]);
    expect(backoffMs(5, () => 0)).toBe(0);
  });
});

describe("relay URL", () => {
  const page = "https://apex.example/ords/r/app/home?session=1";

  it.each([
    ["", "wss://apex.example/rtm/ws"],
    ["/rtm/ws", "wss://apex.example/rtm/ws"],
    ["wss://relay.example", "wss://relay.example/"],
    [" https://relay.example/ws ", "wss://relay.example/ws"],
    ["ws://localhost:8080/ws", "ws://localhost:8080/ws"],
    ["ws://127.0.0.1/", "ws://127.0.0.1/"],
  ])("%j becomes %s", (url, expected) => {
    expect(relayUrl(url, page)).toBe(expected);
  });

  it.each(["ws://relay.example/ws", "ftp://relay.example", "wss://u:p@relay.example", "wss://"])(
    "%s is refused with a reason",
    (url) => {
      expect(() => relayUrl(url, page)).toThrow(/^rtm: /);
    },
  );
});

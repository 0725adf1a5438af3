import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "../../../apex-plugins/client/backoff.ts";
import { Channel } from "../../../apex-plugins/client/channel.ts";
import { closeAction } from "../../../apex-plugins/client/close-action.ts";
import { Listener, type Start } from "../../../apex-plugins/client/listener.ts";
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

function listener(
  start: Start,
  seen: (string | number)[],
  events?: string[],
  last?: number,
): Listener {
  const on = {
    onMessages() {},
    onSubscribed: (_channel: string, recovered: boolean) => {
      if (!recovered) seen.push("lost");
    },
    onSuspended() {},
    onDenied() {},
    onMembers() {},
  };
  return new Listener(events && new Set(events), start, undefined, on, 0, {}, last);
}

function addTo(channel: Channel, one: Listener): void {
  channel.listeners = [...channel.listeners, one];
}

/** A relay that knows `last`; its ids are those of the messages. */
class LastingMemory extends Memory {
  override frame(seq: number, n: number): MessageFrame {
    return { ...super.frame(seq, n), id: `n${n}` };
  }

  answer(since: Since | undefined, events: readonly string[] | undefined) {
    const plain = this.subscribe(since, 0, events);
    const count = since && "last" in since ? since.last : undefined;
    if (plain.recovered || !count) return { ...plain, last: undefined };
    const known = this.published.filter(({ seq }) => seq > this.evictedUpTo);
    const newest = ["e", "f"]
      .filter((name) => !events || events.includes(name))
      .map((name) => known.filter(({ n }) => eventOf(n) === name).slice(-count));
    const replay = newest.flat().sort((a, b) => a.seq - b.seq);
    const complete = this.evictedUpTo === 0 || newest.every(({ length }) => length === count);
    const frames = replay.map(({ seq, n }) => this.frame(seq, n));
    return { ...plain, replay: frames, last: { sent: frames.length, complete } };
  }
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
          addTo(channel, joined.listener);
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
    addTo(channel, listener({ epoch: "e1", seq: 3 }, []));
    addTo(channel, listener({ epoch: "e0", seq: 9 }, seen));
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e1", 4, true);
    expect(seen).toEqual(["lost"]);
  });

  it("who asks for the newest begins with them, whoever else listens, and others miss nothing", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant("publish") },
      { weight: 2, arbitrary: fc.constantFrom("cut", "reconnect", "cut-in-replay") },
      { weight: 2, arbitrary: fc.constantFrom("join", "join f", "last", "last f") },
      fc.constantFrom("evict", "ping", "crash"),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const memory = new LastingMemory();
        const channel = new Channel("c");
        const streams: { seen: (string | number)[]; name: string; one: Listener; from: number }[] =
          [];
        let n = 0;
        let live = false;
        let wanted: (frame: MessageFrame) => boolean = () => true;
        const take = (frame: MessageFrame) => {
          const takers = channel.accept(frame);
          for (const { one, seen } of streams) {
            if (takers.includes(one)) seen.push(frame.payload as number);
          }
        };
        const subscribe = (most = Number.POSITIVE_INFINITY) => {
          channel.reset();
          for (let rounds = 0; channel.state === "new"; rounds++) {
            expect(rounds).toBeLessThan(3);
            const since = channel.since(1);
            channel.asked(undefined, since);
            const { events } = channel;
            const {
              epoch,
              seq,
              recovered,
              replay,
              last,
              wanted: now,
            } = memory.answer(since, events);
            channel.subscribed(epoch, seq, recovered, { events, last });
            replay.slice(0, most).forEach(take);
            live = replay.length <= most;
            wanted = now;
            if (live && events) channel.moved(seq);
          }
        };
        const join = (kind: string, filter?: string) => {
          const seen: (string | number)[] = [];
          const start = { epoch: `e${memory.epoch}`, seq: memory.seq };
          const last = kind === "last";
          const events = filter ? [filter] : undefined;
          const one = listener(last ? "page" : start, seen, events, last ? 1 : undefined);
          streams.push({ seen, name: `${kind}${filter ?? ""}`, one, from: n });
          addTo(channel, one);
        };
        memory.publish(n++);
        join("join");
        subscribe();
        for (const action of steps) {
          const [kind = "", filter] = action.split(" ");
          if (kind === "publish") {
            const frame = memory.publish(n++);
            if (live && wanted(frame)) take(frame);
          } else if (kind === "ping") {
            if (live && channel.events) channel.moved(memory.seq);
          } else if (kind === "cut") live = false;
          else if (kind === "reconnect") subscribe();
          else if (kind === "cut-in-replay") subscribe(1);
          else if (kind === "evict") memory.evictedUpTo = Math.max(0, memory.seq - 1);
          else if (kind === "crash") {
            memory.crash(n);
            live = false;
          } else if (streams.length < 4) {
            join(kind, filter);
            if (live) subscribe();
          }
        }
        subscribe();
        for (const { seen, name, from } of streams) {
          const numbers = seen.filter((value) => value !== "lost") as number[];
          expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
          if (seen.includes("lost")) continue;
          const all = Array.from({ length: n }, (_, value) => value).filter(
            (value) => !name.endsWith("f") || eventOf(value) === "f",
          );
          if (name.startsWith("join"))
            expect(numbers).toEqual(all.filter((value) => value >= from));
          else if (!steps.includes("crash")) {
            for (const event of ["e", "f"]) {
              const of = (value: number) => eventOf(value) === event;
              expect(numbers.findLast(of)).toBe(all.findLast(of));
            }
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("last values come to those who asked only, and to nobody twice", () => {
    const memory = new Memory();
    const channel = new Channel("c");
    const [lost, kept] = [[], []] as (string | number)[][];
    const asking = listener("page", lost as string[], undefined, 2);
    const other = listener({ epoch: "e1", seq: 1 }, kept as string[]);
    for (const one of [asking, other]) addTo(channel, one);
    expect(channel.since(5)).toEqual({ last: 2 });
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e1", 4, false, { last: { sent: 2, complete: true } });
    expect(channel.accept(memory.frame(2, 1))).toEqual([asking]);
    // The relay says where it stands while they are under way.
    channel.moved(4);
    expect(channel.state).toBe("live");
    expect(channel.accept(memory.frame(3, 3))).toEqual([asking]);
    // Now the others are asked for; what comes meanwhile is replayed to them.
    expect(channel.state).toBe("new");
    expect(channel.since(5)).toEqual({ epoch: "e1", seq: 1, last: 2 });
    channel.asked(undefined, channel.since(5));
    expect(channel.accept(memory.frame(5, 4))).toEqual([asking]);
    channel.subscribed("e1", 5, true);
    for (const seq of [2, 3, 4, 5]) {
      expect(channel.accept(memory.frame(seq, seq))).toEqual([other]);
    }
    expect(channel.accept(memory.frame(6, 6))).toEqual([asking, other]);
    expect([lost, kept]).toEqual([[], []]);
  });

  it("a position that is too old becomes the newest for those who asked, and a loss for the others", () => {
    const [a, b, c] = [[], [], []] as (string | number)[][];
    const channel = new Channel("c");
    const asking = listener({ epoch: "e1", seq: 3 }, a as string[], undefined, 1);
    const other = listener({ epoch: "e1", seq: 3 }, b as string[]);
    for (const one of [asking, other]) addTo(channel, one);
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e2", 9, false, { last: { sent: 1, complete: true } });
    expect([a, b]).toEqual([[], ["lost"]]);
    expect(channel.accept(new Memory().frame(7, 7))).toEqual([asking]);
    expect(channel.state).toBe("live");
    expect([asking.position, other.position]).toEqual([
      { epoch: "e2", seq: 9 },
      { epoch: "e2", seq: 9 },
    ]);
    // Not all that there may be: the page has to ask the source.
    const late = new Channel("c");
    addTo(late, listener("live", c as string[], undefined, 1));
    late.asked(undefined, late.since(5));
    late.subscribed("e2", 9, false, { last: { sent: 0, complete: false } });
    expect(c).toEqual(["lost"]);
  });

  it("a position frame moves listeners, not back, not of another epoch, not those not answered", () => {
    const channel = new Channel("c");
    const all = [listener("page", [], ["e"]), listener("live", [], ["e"])];
    for (const one of all) addTo(channel, one);
    channel.asked(undefined, channel.since(5));
    channel.moved(7);
    expect(all.map(({ position }) => position)).toEqual([undefined, undefined]);
    channel.subscribed("e1", 9, true, { events: ["e"] });
    channel.moved(12);
    channel.moved(10);
    const late = listener({ epoch: "e1", seq: 3 }, [], ["f"]);
    addTo(channel, late);
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
    addTo(channel, listener("page", [], ["e"]));
    channel.asked(undefined, channel.since(5));
    channel.subscribed("e1", 0, true, { events: ["e"] });
    const seen: (string | number)[] = [];
    const late = listener("page", seen, ["f"]);
    addTo(channel, late);
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
    addTo(channel, listener("page", [], names.slice(0, 15)));
    addTo(channel, listener("page", [], names.slice(10)));
    expect(channel.events).toEqual(names);
    addTo(channel, listener("page", [], ["another"]));
    expect(channel.events).toBeUndefined();
    const other = new Channel("c");
    addTo(other, listener("page", [], ["a"]));
    addTo(other, listener("page", []));
    expect(other.events).toBeUndefined();
  });

  it("a live listener starts with the next message", () => {
    const seen: (string | number)[] = [];
    const channel = new Channel("c");
    const late = listener("live", seen);
    addTo(channel, late);
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

/**
 * Connections under random tokens, refreshes, subscribes and a wall clock that is set forward and
 * back, against a model of rights. In process and on fake timers: the code is the relay's, only the
 * peer and its wire are recorders.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Hub } from "../../relay/channels/hub.ts";
import { Clients } from "../../relay/clients/clients.ts";
import type { Peer } from "../../relay/clients/peer.ts";
import { RtmConnection } from "../../relay/clients/rtm-connection.ts";
import { matchesAny } from "../../relay/contract/patterns.ts";
import type { MemoryLog } from "../../relay/log/memory-log.ts";
import { Stats } from "../../relay/node/stats.ts";
import type { Wire } from "../../relay/wire/wire.ts";
import { log, message, SECRET, SOURCE, startHub, testConfig, token } from "./support.ts";

const RUNS = process.env.RTM_TEST_LONG === "1" ? 20_000 : 300;
/** How long after a step of the clock a right may still be used, ms. */
const STEP_TOLERANCE_MS = 1000;
const STARTS_AT = 1_795_333_000_000;
const CHANNELS = ["a", "b", "ab"];

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One client of a relay of its own. */
class World {
  readonly #hub: Hub;
  readonly #messageLog: MemoryLog;
  readonly #clients: Clients;
  readonly #connection: RtmConnection;
  #frames: Record<string, unknown>[] = [];
  closed: number | undefined;

  constructor() {
    const config = testConfig({ publicChannels: [], heartbeat: { interval: "10m" } });
    const { hub, messageLog } = startHub(config, () => performance.now());
    this.#hub = hub;
    this.#messageLog = messageLog;
    const wire: Wire = {
      pending: 0,
      open: true,
      write: (frames) => {
        for (const frame of frames.frames) {
          const start = frame[1] === 126 ? 4 : 2;
          this.#frames.push(JSON.parse(frame.subarray(start).toString()));
        }
      },
      cork: () => {},
      uncork: () => {},
      ping: () => {},
      pong: () => {},
      close: (code) => {
        this.closed = code;
      },
      destroy: () => {
        this.closed = 1006;
      },
      onDrain: () => {},
    };
    const keys = { secrets: new Map([["k1", Buffer.from(SECRET)]]), findApiKey: () => undefined };
    const stats = new Stats();
    this.#clients = new Clients({
      config,
      hub: this.#hub,
      stats,
      log,
      keys,
      makeWire: () => wire,
      caughtUp: async () => true,
    });
    const peer: Peer = {
      kind: "websocket",
      answers: true,
      address: "192.0.2.1",
      wire,
      gone: false,
      serve: () => {},
      pause: () => {},
      resume: () => {},
      dismiss: () => {},
      silence: () => {},
      terminate: () => {
        this.closed = 1006;
      },
    };
    this.#connection = new RtmConnection(this.#clients, peer);
  }

  /** Sends a frame; returns what it is answered with. */
  send(frame: object): Record<string, unknown>[] {
    if (this.closed === undefined) {
      this.#connection.received(Buffer.from(JSON.stringify(frame)), false);
    }
    return this.taken();
  }

  taken(): Record<string, unknown>[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  /** Publishes to every channel; returns the channels that were delivered. */
  deliver(): Set<string> {
    const batch = CHANNELS.map((channel) => message(channel, 1));
    this.#messageLog.append(batch, { source: SOURCE });
    this.#hub.flush();
    const messages = this.taken().filter(({ op }) => op === undefined);
    return new Set(messages.map(({ channel }) => channel as string));
  }

  stop(): void {
    this.#clients.stop();
    this.#hub.stop();
    void this.#messageLog.close();
  }
}

const patterns = fc.array(fc.constantFrom("a", "b", "ab", "a*"), { maxLength: 2 });
const lifetime = fc.integer({ min: 1, max: 60 }).map((seconds) => seconds * 1000);
const names = fc.uniqueArray(fc.constantFrom(...CHANNELS), { maxLength: 3 });
const given: fc.Arbitrary<Given> = fc.record({ patterns, lifetime });
interface Given {
  patterns: string[];
  lifetime: number;
}
type Step =
  | { do: "refresh"; token: Given }
  | {
      do: "subscribe";
      token: Given | undefined;
      names: string[];
    }
  | { do: "unsubscribe"; names: string[] }
  | { do: "wait"; ms: number }
  | { do: "set clock"; by: number }
  /** To the end of the token that ends next. */
  | { do: "set clock to an end"; after: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("refresh" as const), token: given }),
  fc.record({
    do: fc.constant("subscribe" as const),
    token: fc.option(given, { nil: undefined }),
    names,
  }),
  fc.record({ do: fc.constant("unsubscribe" as const), names }),
  fc.record({
    do: fc.constant("wait" as const),
    ms: fc.oneof(
      fc.integer({ min: 0, max: 50 }),
      fc.constant(STEP_TOLERANCE_MS + 1),
      fc.integer({ min: 0, max: 30_000 }),
    ),
  }),
  fc.record({
    do: fc.constant("set clock to an end" as const),
    after: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({
    do: fc.constant("set clock" as const),
    by: fc.oneof(
      fc.integer({ min: -60_000, max: 60_000 }),
      fc.constantFrom(-3_600_000, 999, 60_000),
    ),
  }),
);

it("nothing is delivered without a right, and everything with one", {
  timeout: 30_000 + 100 * RUNS,
}, async () => {
  let delivered = 0;
  let withheld = 0;
  await fc.assert(
    fc.asyncProperty(
      given,
      names,
      fc.array(step, { maxLength: 25 }),
      async (first, wanted, steps) => {
        vi.setSystemTime(STARTS_AT);
        const world = new World();
        /** Accepted tokens. */
        const tokens: { patterns: string[]; endsAt: number }[] = [];
        /** Subscribed channels, and until when, by the monotonic clock, a right of before may be used. */
        const subscribed = new Map<string, number>();
        const make = ({ patterns, lifetime }: Given) =>
          token(patterns, { lifetimeMs: lifetime, now: Math.ceil(Date.now() / 1000) * 1000 });
        const accept = ({ patterns, lifetime }: Given) =>
          tokens.push({ patterns, endsAt: Math.ceil(Date.now() / 1000) * 1000 + lifetime });
        const endOf = (channel: string) =>
          Math.max(
            ...tokens
              .filter(({ patterns }) => matchesAny(patterns, channel))
              .map(({ endsAt }) => endsAt),
          );
        const overdue = (channel: string) => Date.now() - endOf(channel);
        const right = (channel: string) => overdue(channel) < 0;
        /** The clock was set forward, so the timer of a later end may be late as well. */
        let late = false;
        /** Its end may not have been noticed yet. */
        const unnoticed = (channel: string) =>
          late && overdue(channel) >= 0 && overdue(channel) <= STEP_TOLERANCE_MS;
        const note = (answers: Record<string, unknown>[]) => {
          for (const { op, channel } of answers) {
            if (op === "subscribed") subscribed.set(channel as string, Number.NEGATIVE_INFINITY);
            if (op === "unsubscribed") subscribed.delete(channel as string);
          }
        };
        const check = () => {
          const seen = world.deliver();
          for (const channel of CHANNELS) {
            const until = subscribed.get(channel);
            const mayStill =
              until !== undefined && (performance.now() <= until || unnoticed(channel));
            if (seen.has(channel)) {
              delivered++;
              expect([channel, right(channel) || mayStill]).toEqual([channel, true]);
            } else {
              withheld++;
              const due = world.closed === undefined && until !== undefined && right(channel);
              expect([channel, due && !mayStill]).toEqual([channel, false]);
            }
          }
        };
        try {
          note(
            world.send({
              op: "connect",
              token: await make(first),
              subscribe: wanted.map((channel) => ({ channel })),
            }),
          );
          accept(first);
          check();
          for (const now of steps) {
            if (now.do === "wait") vi.advanceTimersByTime(now.ms);
            else if (now.do === "set clock" || now.do === "set clock to an end") {
              const left = CHANNELS.filter(
                (channel) => subscribed.has(channel) && (right(channel) || unnoticed(channel)),
              ).map((channel) => {
                const spent = Math.max(0, overdue(channel));
                return [channel, performance.now() + STEP_TOLERANCE_MS - spent] as const;
              });
              const ends = tokens.map(({ endsAt }) => endsAt).filter((end) => end > Date.now());
              const to =
                now.do === "set clock"
                  ? Date.now() + now.by
                  : Math.min(...ends, Date.now() + 60_000) + now.after;
              late ||= to > Date.now();
              vi.setSystemTime(to);
              for (const [channel, until] of left) {
                const before = subscribed.get(channel) as number;
                if (!right(channel)) subscribed.set(channel, Math.max(before, until));
              }
            } else if (now.do === "unsubscribe") {
              note(world.send({ op: "unsubscribe", channels: now.names }));
            } else {
              const text = now.token && (await make(now.token));
              const subscribe =
                now.do === "subscribe" ? now.names.map((channel) => ({ channel })) : undefined;
              const answers = world.send({ op: now.do, token: text, subscribe });
              if (answers.some(({ op }) => op === "refreshed")) accept(now.token!);
              note(answers);
              for (const { op, channel } of answers) {
                if (op === "subscribed")
                  expect([channel, right(channel as string)]).toEqual([channel, true]);
              }
            }
            note(world.taken());
            if (world.closed !== undefined) {
              expect(world.closed).toBe(4100);
              expect(tokens.every(({ endsAt }) => endsAt <= Date.now())).toBe(true);
              return;
            }
            check();
          }
        } finally {
          world.stop();
        }
      },
    ),
    {
      numRuns: RUNS,
      examples: [
        // Set back and forward again between two looks at the clock, with a token in between.
        [
          { patterns: [], lifetime: 60_000 },
          [],
          [
            { do: "set clock", by: -30_000 },
            { do: "subscribe", token: { patterns: ["b"], lifetime: 20_000 }, names: ["b"] },
            { do: "set clock", by: 30_000 },
            { do: "wait", ms: 2000 },
          ],
        ],
        // Set forward in the moment of an end, before any time has passed in which it could be noticed.
        [
          { patterns: [], lifetime: 34_000 },
          [],
          [
            { do: "wait", ms: 1001 },
            { do: "subscribe", token: { patterns: ["a"], lifetime: 60_000 }, names: [] },
            { do: "set clock to an end", after: 0 },
            { do: "subscribe", token: undefined, names: ["a"] },
            { do: "wait", ms: 28_000 },
            { do: "set clock to an end", after: 0 },
          ],
        ],
        // The same, twice.
        [
          { patterns: ["a"], lifetime: 1000 },
          ["a"],
          [
            { do: "set clock to an end", after: 0 },
            { do: "set clock", by: 999 },
            { do: "set clock to an end", after: 0 },
            { do: "wait", ms: 2 },
          ],
        ],
        // The timer fires before the end, because the clock was set back: it has to be set again.
        [
          { patterns: ["b"], lifetime: 2000 },
          ["b"],
          [
            { do: "set clock", by: -60_000 },
            { do: "wait", ms: 3000 },
            { do: "wait", ms: 62_000 },
          ],
        ],
      ],
    },
  );
  expect(delivered).toBeGreaterThan(RUNS);
  expect(withheld).toBeGreaterThan(RUNS);
});

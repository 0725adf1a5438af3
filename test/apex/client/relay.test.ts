import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Relay } from "../../../relay/relay.ts";
import { message, SOURCE, startTestRelay, token, until } from "../../relay/support.ts";
import { Page } from "./kit.ts";

const CHANNELS = ["a", "b"] as const;
const END = "end";

type Step =
  | "publish a"
  | "publish b"
  | "burst"
  | "restart"
  | "crash"
  | "away"
  | "back"
  | "hide"
  | "show"
  | "join";

/** What one listener of one page saw: numbers, gaps, and the end. */
class Stream {
  readonly channel: string;
  readonly seen: (number | "gap" | typeof END)[] = [];

  constructor(page: Page, channel: string) {
    this.channel = channel;
    page
      .client(() => token([channel]))
      .subscribe(channel, {
        onMessage: ({ payload }) => this.seen.push(payload as number),
        onSubscribed: (_channel, recovered) => {
          if (!recovered) this.seen.push("gap");
        },
      });
  }

  /** Everything in order and once; numbers may be missing only where a gap was told. */
  check(published: readonly number[]): void {
    let at = 0;
    let gap = false;
    for (const value of this.seen) {
      if (value === "gap") gap = true;
      else if (value !== END) {
        const index = published.indexOf(value, at);
        expect(index, `${value} twice, out of order or unknown`).toBeGreaterThanOrEqual(at);
        if (!gap) expect(index, `before ${value}`).toBe(at);
        at = index + 1;
        gap = false;
      }
    }
    if (!gap) expect(at).toBe(published.length);
  }
}

async function play(steps: readonly Step[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "rtm-client-"));
  const published: Record<string, number[]> = { a: [], b: [] };
  let count = 0;
  let relay: Relay = await startTestRelay({ stateDirectory: directory });
  const start = async () => {
    relay = await startTestRelay({ stateDirectory: directory, port: relay.port });
  };
  const publish = async (channel: string, times = 1) => {
    const numbers = Array.from({ length: times }, () => ++count);
    published[channel]?.push(...numbers);
    const results = await relay.publisher.publish(
      numbers.map((n) => message(channel, n)),
      SOURCE,
    );
    for (const { status } of results) expect(status).toBe("accepted");
  };
  const pages = [0, 1].map(() => new Page(`ws://127.0.0.1:${relay.port}/ws`));
  // Both pages were navigated to before the first message.
  for (const page of pages) page.ageMs = 60_000;
  const streams = CHANNELS.map((channel, index) => new Stream(pages[index]!, channel));
  for (const channel of CHANNELS) streams.push(new Stream(pages[0]!, channel));
  try {
    for (const step of steps) {
      if (step === "publish a") await publish("a");
      else if (step === "publish b") await publish("b");
      else if (step === "burst") await publish("a", 200);
      else if (step === "away") pages[0]!.connection.link.pause();
      else if (step === "back") pages[0]!.connection.link.resume();
      else if (step === "join") streams.push(new Stream(pages[1]!, "a"));
      else if (step === "hide") pages[1]!.connection.link.park();
      else if (step === "show") pages[1]!.connection.link.resume("parked");
      else {
        if (step === "restart") await relay.drain();
        else await relay.close();
        await start();
      }
    }
    pages[0]!.connection.link.resume();
    pages[1]!.connection.link.resume("parked");
    const ended = ({ seen }: Stream) => seen.includes(END);
    await until("every stream has come to its end", async () => {
      for (const channel of CHANNELS)
        await relay.publisher.publish([message(channel, END)], SOURCE);
      return streams.every(ended);
    });
    for (const stream of streams) stream.check(published[stream.channel]!);
    for (const page of pages) expect(page.errors).toEqual([]);
  } finally {
    for (const page of pages) page.connection.link.stop("over");
    await relay.close();
    await rm(directory, { recursive: true, force: true });
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Step>("publish a", "publish b") },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>("burst", "restart", "crash", "away", "back", "join"),
  },
  { weight: 2, arbitrary: fc.constantFrom<Step>("hide", "show") },
);

it("against the real relay: random publishing, restarts, crashes and absences", {
  timeout: 120_000,
}, async () => {
  const runs = process.env.RTM_TEST_LONG ? 300 : 25;
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), play), {
    numRuns: runs,
    endOnFailure: true,
  });
});

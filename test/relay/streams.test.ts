/** Whole streams: what a client that always asks for its position sees, against a model. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, SOURCE, startTestRelay } from "./support.ts";

const RUNS = process.env.RTM_TEST_LONG === "1" ? 300 : 15;

type Step =
  | { readonly do: "publish"; readonly count: number }
  | { readonly do: "leave" | "return"; readonly reader: number }
  | { readonly do: "restart" | "crash" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("leave" as const), reader: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("return" as const), reader: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("restart" as const, "crash" as const) }),
  },
);

/** A reader that remembers the last message it saw, across connections. */
class Reader {
  client: Client | undefined;
  position: { epoch: string; seq: number } | undefined;
  /** The payload of the last message it can prove to have missed nothing before. */
  last = 0;

  async open(relay: Relay, published: number): Promise<void> {
    const subscribe = [this.position ? { channel: "c", since: this.position } : { channel: "c" }];
    this.client = await Client.connect(relay, { subscribe });
    await this.client.next();
    const answer = (await this.client.next()) as unknown as {
      epoch: string;
      seq: number;
      recovered: boolean;
    };
    if (!answer.recovered) {
      // It refreshes its page: everything published so far is in it.
      this.position = { epoch: answer.epoch, seq: answer.seq };
      this.last = published;
    } else expect(answer.epoch).toBe(this.position?.epoch);
  }

  /** Reads up to the message `published`: each one once, in order, none left out. */
  async readUpTo(published: number): Promise<void> {
    while (this.client && this.last < published) {
      const frame = await this.client.next(`message ${this.last + 1} of ${published}`);
      expect(frame.payload).toBe(this.last + 1);
      const position = this.position as { epoch: string; seq: number };
      expect(frame.seq).toBe(position.seq + 1);
      this.position = { epoch: position.epoch, seq: position.seq + 1 };
      this.last++;
    }
  }
}

it("publish, leave, return, restart, crash: no gap, no duplicate, no false recovery", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const directory = mkdtempSync(join(tmpdir(), "rtm-streams-"));
      const start = () =>
        startTestRelay({
          publicChannels: ["*"],
          stateDirectory: directory,
          history: { count: 20 },
        });
      let relay = await start();
      let published = 0;
      const readers = [new Reader(), new Reader(), new Reader()];
      const leaveAll = async () => {
        for (const reader of readers) {
          // What was published is delivered before the close frame.
          await reader.readUpTo(published);
          await reader.client?.end();
          reader.client = undefined;
        }
      };
      try {
        for (const action of steps) {
          if (action.do === "publish") {
            const batch = Array.from({ length: action.count }, () => message("c", ++published));
            await relay.publisher.publish(batch, SOURCE);
          } else if (action.do === "leave") {
            const reader = readers[action.reader] as Reader;
            reader.client?.terminate();
            reader.client = undefined;
          } else if (action.do === "return") {
            const reader = readers[action.reader] as Reader;
            if (!reader.client) await reader.open(relay, published);
            else await reader.readUpTo(published);
          } else if (action.do === "restart") {
            const draining = relay.drain();
            await leaveAll();
            await draining;
            relay = await start();
          } else {
            for (const reader of readers) await reader.readUpTo(published);
            await relay.close();
            for (const reader of readers) {
              await reader.client?.end();
              reader.client = undefined;
            }
            relay = await start();
          }
        }
        for (const reader of readers) {
          if (!reader.client) await reader.open(relay, published);
          await reader.readUpTo(published);
        }
        await relay.publisher.publish([message("c", ++published)], SOURCE);
        for (const reader of readers) await reader.readUpTo(published);
      } finally {
        await relay.close();
        rmSync(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: RUNS },
  );
});

it("reconnect-storm: all readers come back at once, and each recovers", async () => {
  const relay = await startTestRelay({ publicChannels: ["*"], history: { count: 2000 } });
  const probe = await Client.connect(relay, { subscribe: [{ channel: "c" }] });
  await probe.next();
  const { epoch } = await probe.next();
  await relay.publisher.publish(
    Array.from({ length: 500 }, (_, n) => message("c", n)),
    SOURCE,
  );
  const readers = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const since = { epoch, seq: index };
      const client = await Client.connect(relay, { subscribe: [{ channel: "c", since }] });
      const frames = await client.nextN(2 + 500 - index);
      return { client, index, frames };
    }),
  );
  for (const { client, index, frames } of readers) {
    expect(frames[1]).toMatchObject({ recovered: true, seq: 500 });
    expect(frames.slice(2).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 500 - index }, (_, n) => index + 1 + n),
    );
    client.terminate();
  }
  await relay.close();
});

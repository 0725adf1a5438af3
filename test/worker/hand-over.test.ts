import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Message } from "../../relay/contract/message.ts";
import type { PublishResult } from "../../relay/contract/publisher.ts";
import { handOver } from "../../worker/hand-over.ts";
import { UNAVAILABLE } from "./support.ts";

const messages: Message[] = ["a", "b", "c"].map((id) => ({
  id,
  channel: "c",
  eventName: "e",
  payload: "1",
  ts: 0,
}));
const ACCEPTED: PublishResult = { status: "accepted", recipients: 1 };
const REJECTED: PublishResult = { status: "rejected", code: "message_too_large", message: "" };

function options(
  publish: (batch: readonly Message[]) => PublishResult[],
  signal = new AbortController().signal,
) {
  return {
    source: { name: "queue:Q" },
    publisher: {
      publish: async (batch: readonly Message[]) => publish(batch),
      control: async () => [],
    },
    signal,
    ping: vi.fn(async () => {}),
    pingMs: 30_000,
    bounds: { baseMs: 100, capMs: 5000 },
    onHold: vi.fn(),
  };
}

describe("handOver", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("asks again only for what the relay could not take", async () => {
    const asked: string[][] = [];
    const use = options((batch) => {
      asked.push(batch.map(({ id }) => id));
      if (asked.length === 1) return [ACCEPTED, REJECTED, UNAVAILABLE];
      return [ACCEPTED];
    });
    const done = handOver(messages, use);
    await vi.runAllTimersAsync();
    expect(await done).toEqual([ACCEPTED, REJECTED, ACCEPTED]);
    expect(asked).toEqual([["a", "b", "c"], ["c"]]);
    expect(use.onHold).toHaveBeenCalledTimes(1);
  });

  it("drops the batch when another worker leads the queue, and tries nothing again", async () => {
    const publish = vi.fn((batch: readonly Message[]): PublishResult[] =>
      batch.map(() => ({ status: "fenced", code: "fenced", message: "token 7 after 9" })),
    );
    await expect(handOver(messages, options(publish))).rejects.toMatchObject({
      code: "RTM_FENCED",
      message: expect.stringContaining("token 7 after 9"),
    });
    expect(publish).toHaveBeenCalledTimes(1);
  });

  it("pings the session through an outage of two hours and loses nothing", async () => {
    let down = true;
    const use = options((batch) => batch.map(() => (down ? UNAVAILABLE : ACCEPTED)));
    const done = handOver(messages, use);
    await vi.advanceTimersByTimeAsync(2 * 3_600_000);
    expect(use.ping.mock.calls.length).toBeGreaterThanOrEqual(2 * 100);
    expect(use.ping.mock.calls.length).toBeLessThanOrEqual(2 * 120);
    down = false;
    await vi.runAllTimersAsync();
    expect(await done).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
  });

  it("gives up with the session's error when the ping fails", async () => {
    const use = options(() => messages.map(() => UNAVAILABLE));
    use.ping.mockRejectedValue(new Error("NJS-500: session gone"));
    const done = handOver(messages, use);
    const outcome = expect(done).rejects.toThrow("NJS-500");
    await vi.advanceTimersByTimeAsync(60_000);
    await outcome;
  });

  it("treats a missing answer as unavailable", async () => {
    let calls = 0;
    const done = handOver(
      messages,
      options((batch) => (++calls === 1 ? [] : batch.map(() => ACCEPTED))),
    );
    await vi.runAllTimersAsync();
    expect(await done).toHaveLength(3);
  });

  it("ends with the signal while it holds, but keeps a success that is under way", async () => {
    const stop = new AbortController();
    const held = handOver(
      messages,
      options(() => messages.map(() => UNAVAILABLE), stop.signal),
    );
    const outcome = expect(held).rejects.toThrow("stopping");
    await vi.advanceTimersByTimeAsync(1000);
    stop.abort(new Error("stopping"));
    await outcome;
    const late = options((batch) => batch.map(() => ACCEPTED), stop.signal);
    expect(await handOver(messages, late)).toHaveLength(3);
  });

  it("asks nobody for an empty batch", async () => {
    const use = options(() => {
      throw new Error("must not be asked");
    });
    expect(await handOver([], use)).toEqual([]);
  });
});

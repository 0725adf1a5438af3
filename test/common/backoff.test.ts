import { describe, expect, it } from "vitest";
import { fullJitter, retryForever, sleep } from "../../common/backoff.ts";

describe("fullJitter", () => {
  it("draws below a bound that doubles up to the cap", () => {
    const bounds = [1, 2, 3, 4, 5, 60].map((attempt) =>
      fullJitter(attempt, { baseMs: 100, capMs: 1000 }, () => 1),
    );
    expect(bounds).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(fullJitter(3, { baseMs: 100, capMs: 1000 }, () => 0)).toBe(0);
  });

  it("never draws below the floor", () => {
    const bounds = { baseMs: 100, capMs: 1000, floorMs: 300 };
    expect([1, 3, 9].map((attempt) => fullJitter(attempt, bounds, () => 0))).toEqual([
      300, 300, 300,
    ]);
    expect([1, 3, 9].map((attempt) => fullJitter(attempt, bounds, () => 1))).toEqual([
      300, 400, 1000,
    ]);
  });
});

describe("retryForever", () => {
  it("repeats until success and reports each wait", async () => {
    const waits: number[] = [];
    const result = await retryForever(
      async (attempt) => {
        if (attempt < 4) throw new Error("not yet");
        return attempt;
      },
      {
        bounds: { baseMs: 1, capMs: 2 },
        random: () => 1,
        onRetry: ({ delayMs }) => waits.push(delayMs),
      },
    );
    expect(result).toBe(4);
    expect(waits).toEqual([1, 2, 2]);
  });

  it("starts the delays anew after progress", async () => {
    const waits: number[] = [];
    await retryForever(
      async (attempt) => {
        if (attempt < 5) throw new Error(`attempt ${attempt}`);
      },
      {
        bounds: (error) => ({ baseMs: error.message === "attempt 4" ? 3 : 1, capMs: 8 }),
        random: () => 1,
        madeProgress: () => waits.length === 2,
        onRetry: ({ delayMs }) => waits.push(delayMs),
      },
    );
    expect(waits).toEqual([1, 2, 1, 6]);
  });

  it("keeps a success that arrives after the signal", async () => {
    const stop = new AbortController();
    const result = await retryForever(
      async () => {
        stop.abort(new Error("stopping"));
        return "done";
      },
      { bounds: { baseMs: 1, capMs: 1 }, signal: stop.signal },
    );
    expect(result).toBe("done");
  });

  it("throws at once what shouldRetry refuses", async () => {
    const attempts: number[] = [];
    const failing = retryForever(
      async (attempt) => {
        attempts.push(attempt);
        throw new Error("configuration");
      },
      { bounds: { baseMs: 1, capMs: 1 }, shouldRetry: () => false },
    );
    await expect(failing).rejects.toThrow("configuration");
    expect(attempts).toEqual([1]);
  });

  it("ends with the signal's reason while it waits", async () => {
    const stop = new AbortController();
    const waiting = retryForever(
      async () => {
        throw new Error("down");
      },
      {
        bounds: { baseMs: 60_000, capMs: 60_000 },
        random: () => 1,
        signal: stop.signal,
        onRetry: () => queueMicrotask(() => stop.abort(new Error("stopping"))),
      },
    );
    await expect(waiting).rejects.toThrow("stopping");
  });
});

describe("sleep", () => {
  it("refuses to start with an aborted signal", async () => {
    await expect(sleep(60_000, AbortSignal.abort(new Error("stopped")))).rejects.toThrow("stopped");
  });
});

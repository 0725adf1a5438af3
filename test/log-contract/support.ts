/** What the tests of a log write, and how they follow one. */
import { expect, onTestFinished } from "vitest";
import type { Message } from "../../relay/contract/message.ts";
import type { Appended, AppendOptions, Log } from "../../relay/log/log.ts";
import type { RetainedBounds } from "../../relay/log/retained-value.ts";
import { RecordingReader } from "./reader.ts";

export interface LogSettings {
  /** Ids remembered per source. */
  readonly ids?: number;
  /** Bytes of messages that a log keeps which keeps them itself. */
  readonly bytes?: number;
  /** The most last values of such a log. */
  readonly retained?: RetainedBounds;
}

/** A log that is followed. */
export interface LogNode {
  readonly log: Log;
  readonly another?: () => Log;
  readonly reader: RecordingReader;
}

export const SOURCE = { source: { name: "queue:RTM_OUT" } } as const;

export function message(n: number, more: Partial<Message> = {}): Message {
  return {
    channel: "sales",
    eventName: "order",
    payload: `{"n":${n}}`,
    id: `id-${n}`,
    ts: 1_700_000_000_000 + n,
    ...more,
  };
}

export function messages(from: number, to: number, more: Partial<Message> = {}): Message[] {
  return Array.from({ length: to - from + 1 }, (_, index) => message(from + index, more));
}

export async function append(
  log: Log,
  batch: readonly Message[],
  options: AppendOptions = SOURCE,
): Promise<readonly Appended[]> {
  return log.append(batch, options);
}

/**
 * Follows with a reader that is checked at the end of the test.
 * @param bounds of last values, where the log leaves these to its reader
 */
export async function follow(log: Log, bounds?: RetainedBounds): Promise<RecordingReader> {
  const reader = new RecordingReader(bounds);
  onTestFinished(async () => {
    await log.close();
    expect(reader.violations).toEqual([]);
  });
  await log.follow(reader);
  return reader;
}

/** Waits until the node has applied everything that was appended before this call. */
export async function settle(log: Log): Promise<void> {
  expect(await log.caughtUp(10_000)).toBe(true);
}

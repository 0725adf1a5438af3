/** Hands a batch to the relay and holds it while the relay cannot take it. */
import { type Bounds, retryForever } from "../common/backoff.ts";
import { messageOf, RtmError } from "../common/errors.ts";
import { type ControlItem, type ControlResult, isControl } from "../relay/contract/control.ts";
import type { Message } from "../relay/contract/message.ts";
import {
  inOrder,
  type Publisher,
  type PublishResult,
  type Source,
} from "../relay/contract/publisher.ts";

/** What the relay is given: messages, and what it is told beside them. */
export type Item = Message | ControlItem;
type Result = PublishResult | ControlResult;

/** Why the batch is held; internal to the retry, but logged with its code. */
export class RelayUnavailableError extends RtmError {
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(
      "RTM_RELAY_UNAVAILABLE",
      `the relay cannot take messages now (${code}): ${message}`,
      options,
    );
  }
}

/** Another worker leads the queue now, and has handed messages over. */
export class FencedError extends RtmError {
  constructor(message: string) {
    super("RTM_FENCED", `this worker does not lead the queue any more: ${message}`);
  }
}

/** The relay of this node has not heard the log that it shares with others for too long. */
export class LogLostError extends RtmError {
  constructor() {
    super(
      "RTM_LOG_LOST",
      "this node does not hear the log of messages: another one, which does, has to lead the queue",
    );
  }
}

/** What the relay answered for one item once it had taken or refused it. */
export type Answered = Exclude<Result, { status: "unavailable" | "fenced" }>;

export interface HandOverOptions {
  readonly publisher: Publisher;
  /** The queue the batch comes from. */
  readonly source: Source;
  /** Ends the holding: the promise rejects with its reason. A publish in flight is awaited. */
  readonly signal: AbortSignal;
  /** Called every `pingMs` while the batch is held; when it throws, the session is gone. */
  readonly ping: () => Promise<void>;
  readonly pingMs: number;
  readonly bounds: Bounds;
  /** False: a batch that the relay cannot take is not held any longer. */
  readonly mayLead?: (() => boolean) | undefined;
  /** Called before each attempt. */
  readonly onAttempt?: () => void;
  /** Called when holding begins, with the reason. */
  readonly onHold: (error: Error) => void;
}

/** Cuts a batch where messages and other items meet: each kind is handed over by a call of its own. */
function* runs(batch: readonly Item[]): Generator<readonly Item[]> {
  let start = 0;
  for (let end = 1; end <= batch.length; end++) {
    if (end < batch.length && isControl(batch[end]!) === isControl(batch[start]!)) continue;
    yield batch.slice(start, end);
    start = end;
  }
}

/**
 * Returns the answer to each item, in order. A rollback would count towards max_retries and
 * exile good messages, so an unavailable relay is waited for with the transaction open.
 * @throws {FencedError}, {LogLostError}, what `ping` threw, or the signal's reason. The caller then drops the batch: the database
 * delivers it again, and the relay drops what it has seen by id.
 */
export async function handOver(
  batch: readonly Item[],
  { publisher, source, signal, ping, pingMs, bounds, mayLead, onAttempt, onHold }: HandOverOptions,
): Promise<Answered[]> {
  if (batch.length === 0) return [];
  const answered = new Map<number, Answered>();
  let pending = batch.map((_item, index) => index);
  let lastPing = performance.now();
  let held = false;

  const give = (run: readonly Item[]): Promise<readonly Result[]> =>
    isControl(run[0]!)
      ? publisher.control(run as readonly ControlItem[], source)
      : publisher.publish(run as readonly Message[], source);

  const attempt = async (): Promise<void> => {
    onAttempt?.();
    if (performance.now() - lastPing >= pingMs) {
      await ping();
      lastPing = performance.now();
    }
    let results: readonly Result[];
    try {
      const items = pending.map((index) => batch[index]!);
      results = await inOrder<readonly Item[], Result>(runs(items), (run) => give(run));
    } catch (error) {
      // A defect of the publisher. Rolling back would exile the batch for it.
      throw new RelayUnavailableError("publish_failed", messageOf(error), { cause: error });
    }
    const unavailable: number[] = [];
    let reason: { code: string; message: string } | undefined;
    for (const [position, index] of pending.entries()) {
      const result = results[position];
      if (result?.status === "fenced") throw new FencedError(result.message);
      if (result && result.status !== "unavailable") answered.set(index, result);
      else {
        unavailable.push(index);
        reason ??= result ?? { code: "no_answer", message: "the relay gave no answer for it" };
      }
    }
    pending = unavailable;
    if (reason && mayLead?.() === false) throw new LogLostError();
    if (reason) throw new RelayUnavailableError(reason.code, reason.message);
  };

  await retryForever(attempt, {
    bounds,
    signal,
    // What the ping threw is thrown as it is.
    shouldRetry: (error) => error instanceof RelayUnavailableError,
    onRetry: ({ error }) => {
      if (!held) onHold(error);
      held = true;
    },
  });
  return batch.map((_item, index) => answered.get(index)!);
}

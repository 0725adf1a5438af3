/**
 * The way into the log, for a worker in the same process and for REST: what is checked there, and how
 * much of it in one turn of the event loop.
 */
import type { ControlItem, ControlResult } from "../contract/control.ts";
import type { Message } from "../contract/message.ts";
import { inOrder, type Publisher, type PublishResult, type Source } from "../contract/publisher.ts";
import { MessageChecks, type MessageProblem } from "../log/checks.ts";
import type { Appended, Log } from "../log/log.ts";
import type { Serving } from "../node/serving.ts";
import type { Hub } from "./hub.ts";

/** A message on its way in. */
export interface Incoming {
  readonly message: Message;
  /** The id was made here and cannot have been seen before. */
  readonly ownId: boolean;
}

/** Messages that are appended together: all with ids of one kind. */
type Part = readonly Incoming[];

export interface LocalPublisherOptions {
  readonly hub: Hub;
  readonly messageLog: Log;
  readonly serving: Serving;
  /** The largest encoded message. */
  readonly messageBytes: number;
  /**
   * The most that is appended in one turn, bytes: clients take what was written only when the event
   * loop gets a turn. Infinite for a log elsewhere, whose batches must not be parted.
   */
  readonly quantum: number;
  /** As `LocalPublisher.control`. */
  readonly control: (
    items: readonly ControlItem[],
    mayRevokeAll: boolean,
  ) => Promise<readonly ControlResult[]>;
}

/**
 * The publisher of this process. What is wrong with a message is its result, never an exception;
 * while the node does not serve all are `unavailable`. A batch larger than `quantum` is taken over
 * several turns, in order.
 */
export class LocalPublisher implements Publisher {
  readonly #options: LocalPublisherOptions;
  readonly #checks: MessageChecks;

  constructor(options: LocalPublisherOptions) {
    this.#options = options;
    this.#checks = new MessageChecks(options.messageBytes);
  }

  publish(batch: readonly Message[], source: Source): Promise<readonly PublishResult[]> {
    return this.publishAll(
      batch.map((message) => ({ message, ownId: false })),
      source,
    );
  }

  /**
   * As `Publisher.control`.
   * @param mayRevokeAll false for whoever may not end every token: it waits where that were needed
   */
  control(
    items: readonly ControlItem[],
    _source: Source,
    mayRevokeAll = true,
  ): Promise<readonly ControlResult[]> {
    return this.#options.control(items, mayRevokeAll);
  }

  /** One result per message, in order; as `Publisher.publish`. */
  publishAll(batch: readonly Incoming[], source: Source): Promise<readonly PublishResult[]> {
    return inOrder(this.#parts(batch), (part) => {
      const { turn } = this.#options.hub;
      if (turn.bytes < this.#options.quantum) return this.#append(part, source);
      return turn.next().then(() => this.#append(part, source));
    });
  }

  *#parts(batch: readonly Incoming[]): Generator<Part> {
    let part: Incoming[] = [];
    let bytes = 0;
    for (const incoming of batch) {
      if (part.length > 0 && part[0]?.ownId !== incoming.ownId) {
        yield part;
        part = [];
        bytes = 0;
      }
      part.push(incoming);
      bytes += incoming.message.payload.length;
      if (bytes >= this.#options.quantum) {
        yield part;
        part = [];
        bytes = 0;
      }
    }
    if (part.length > 0) yield part;
  }

  #append(
    part: Part,
    source: Source,
  ): readonly PublishResult[] | Promise<readonly PublishResult[]> {
    const { hub, messageLog, serving } = this.#options;
    const down = serving.problem;
    if (down !== undefined) {
      return part.map(() => ({ status: "unavailable", code: "unavailable", message: down }));
    }
    const problems = part.map(({ message }) => this.#checks.problemOf(message));
    const good = part.flatMap(({ message }, index) => (problems[index] ? [] : [message]));
    for (const { payload } of good) hub.turn.bytes += payload.length;
    const appended =
      good.length > 0 ? messageLog.append(good, { source, ownIds: part[0]?.ownId ?? false }) : [];
    return appended instanceof Promise
      ? appended.then((answers) => this.#results(part, problems, answers))
      : this.#results(part, problems, appended);
  }

  #results(
    part: Part,
    problems: readonly (MessageProblem | undefined)[],
    appended: readonly Appended[],
  ): readonly PublishResult[] {
    const { hub } = this.#options;
    let next = 0;
    return part.map(({ message }, index) => {
      const problem = problems[index];
      if (problem) {
        hub.stats.rejected(problem.code);
        return { status: "rejected", ...problem };
      }
      const answer = appended[next++] as Appended;
      if (answer.status !== "accepted") return answer;
      const recipients = hub.recipients(message.channel);
      if (!answer.duplicate) return { status: "accepted", recipients };
      hub.stats.duplicate();
      return { status: "accepted", recipients, duplicate: true };
    });
  }
}

/** The most that one node publishes in a turn, bytes. */
const MAX_QUANTUM_BYTES = 512 * 1024;

/**
 * How much may be published in one turn.
 * @param connectionBytes what is held for one client
 * @param historyBytes what is kept of one channel; a burst must not outrun it
 */
export function turnQuantum(connectionBytes: number, historyBytes: number): number {
  return Math.min(
    MAX_QUANTUM_BYTES,
    connectionBytes / 4,
    Math.max(historyBytes / 4, connectionBytes / 64),
  );
}

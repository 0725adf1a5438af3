/** Queues as administrators and tests see them: outside any session, committed at once. */
import type { AqEngine } from "./aq/engine.ts";
import type { MessageProperties, PayloadKind } from "./aq/message.ts";
import type { MessageView } from "./aq/options.ts";
import { encodePayload, type Payload, received } from "./session.ts";

export interface CreateQueue {
  /** OWNER.NAME or "NAME" with `owner`; unquoted names are upper case. */
  name: string;
  /** Queue table; it names the exception queue `AQ$_<table>_E`. Default: the queue's name and _T. */
  table?: string;
  /** Default "RAW". */
  payload?: PayloadKind;
  /** Default 5, as Oracle's for a user queue. */
  maxRetries?: number;
  /** Seconds. Default 0. */
  retryDelay?: number;
  /** Of a multi-consumer queue. What one of them has not taken is in the queue `OWNER.NAME:SUBSCRIBER`. */
  subscribers?: readonly string[];
}

export interface QueueAdmin {
  readonly name: string;
  readonly payload: PayloadKind;
  /** Full name of the exception queue. */
  readonly exceptionQueue: string;
  readonly table: string;
  readonly maxRetries: number;
  /** Seconds. */
  readonly retryDelay: number;
  readonly enqueueEnabled: boolean;
  readonly dequeueEnabled: boolean;
  /** Dequeues that wait here now. */
  readonly waiters: number;
  /** Of a multi-consumer queue; otherwise none. */
  readonly subscribers: readonly string[];
  /** Messages that are committed and not finally gone: ready, waiting or locked. */
  depth(): number;
  messages(): (Omit<MessageView, "payload"> & { payload: Payload })[];
  enqueue(payload: Payload, properties?: MessageProperties): Buffer;
  /** DBMS_AQADM.START_QUEUE. An exception queue has to be started before it can be dequeued. */
  start(what?: { enqueue?: boolean; dequeue?: boolean }): void;
  /** DBMS_AQADM.STOP_QUEUE. */
  stop(what?: { enqueue?: boolean; dequeue?: boolean }): void;
}

/** @throws OraError 24010 */
export function queueAdmin(engine: AqEngine, name: string, changed: () => void): QueueAdmin {
  const queue = engine.queue(name);
  return {
    name: queue.name,
    payload: queue.payload,
    exceptionQueue: queue.exceptionQueue,
    table: queue.table,
    subscribers: [...queue.subscribers.keys()],
    maxRetries: queue.maxRetries,
    retryDelay: queue.retryDelay,
    get enqueueEnabled() {
      return queue.enqueueEnabled;
    },
    get dequeueEnabled() {
      return queue.dequeueEnabled;
    },
    get waiters() {
      return queue.waiters.size;
    },
    depth: () => engine.depth(queue),
    messages: () =>
      engine.messages(queue).map((message) => ({ ...message, payload: received(message).payload })),
    enqueue: (payload, properties = {}) => {
      const message = { payload: encodePayload(queue, payload), kind: queue.payload, properties };
      const [id] = engine.enqueueImmediately(queue.name, [message]);
      changed();
      return id!;
    },
    start: (what) => engine.start(queue, what),
    stop: (what) => engine.stop(queue, what),
  };
}

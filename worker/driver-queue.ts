/** A queue as the driver has it: how it is opened, and what is taken from its messages. */
import oracledb from "oracledb";
import type { PayloadKind } from "./config.ts";
import type { Dequeued } from "./decode.ts";

export interface QueueOptions {
  readonly name: string;
  readonly kind: Exclude<PayloadKind, "JMS_TEXT">;
  readonly consumer?: string | undefined;
}

export type DriverQueue = oracledb.AdvancedQueue<unknown>;

/**
 * Opens a queue for dequeues with REMOVE, ON_COMMIT and FIRST_MESSAGE: each call takes a new snapshot, so
 * the oldest visible message comes first whoever committed it when.
 * @throws the driver's error
 */
export async function openQueue(
  connection: oracledb.Connection,
  { name, kind, consumer }: QueueOptions,
): Promise<DriverQueue> {
  const payloadType = kind === "JSON" ? oracledb.DB_TYPE_JSON : oracledb.DB_TYPE_RAW;
  const queue = (await connection.getQueue(name, { payloadType } as never)) as DriverQueue;
  queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
  queue.deqOptions.mode = oracledb.AQ_DEQ_MODE_REMOVE;
  queue.deqOptions.visibility = oracledb.AQ_VISIBILITY_ON_COMMIT;
  if (consumer !== undefined) queue.deqOptions.consumerName = consumer;
  return queue;
}

/** Copies what is needed: a message kept alive would keep the socket's buffer alive. */
export function toDequeued(
  message: oracledb.AdvancedQueueMessage<unknown>,
  kind: QueueOptions["kind"],
): Dequeued {
  const { payload, msgId, numAttempts } = message;
  return {
    id: msgId.toString("hex"),
    attempts: numAttempts,
    body:
      kind === "JSON"
        ? { kind: "json", value: payload ?? null }
        : { kind: "bytes", bytes: payload as unknown as Buffer },
  };
}

/** The messages of one channel on our queue, found by browsing, through the driver. */
import oracledb, { type Connection } from "oracledb";
import { type Decoded, decode } from "../../worker/decode.ts";

/** Browsing ends here: a backlog must not make the check long. */
const MAX_BROWSED = 20_000;

export interface OwnQueue {
  /** OWNER.RTM_QUEUE */
  readonly name: string;
  readonly kind: "RAW" | "JSON";
}

export interface Found {
  readonly messageId: Buffer;
  readonly attempts: number;
  readonly decoded: Decoded;
}

async function openQueue(connection: Connection, { name, kind }: OwnQueue) {
  const options = kind === "JSON" ? { payloadType: oracledb.DB_TYPE_JSON } : {};
  const queue = await connection.getQueue(name, options as never);
  queue.deqOptions.wait = oracledb.AQ_DEQ_NO_WAIT;
  return queue;
}

function found(message: oracledb.AdvancedQueueMessage<unknown>, kind: OwnQueue["kind"]): Found {
  const { msgId, numAttempts, payload } = message;
  const body =
    kind === "JSON"
      ? ({ kind: "json", value: payload } as const)
      : ({ kind: "bytes", bytes: payload as unknown as Buffer } as const);
  const decoded = decode(
    { id: msgId.toString("hex"), attempts: numAttempts, body },
    undefined,
    Date.now(),
  );
  return { messageId: msgId, attempts: numAttempts, decoded };
}

function channelOf(decoded: Decoded): string | undefined {
  if (decoded.kind === "claim") return decoded.header.channel;
  if (decoded.kind === "message") return decoded.message.channel;
  return decoded.kind === "poison" ? decoded.poison.channel : undefined;
}

/** What this session sees of a channel: committed messages, and its own. */
export async function browse(
  connection: Connection,
  own: OwnQueue,
  channel: string,
): Promise<Found[]> {
  const queue = await openQueue(connection, own);
  queue.deqOptions.mode = oracledb.AQ_DEQ_MODE_BROWSE;
  queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
  const all: Found[] = [];
  for (let count = 0; count < MAX_BROWSED; count++) {
    const message = await queue.deqOne();
    if (message === undefined) break;
    queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_NEXT_MSG;
    const one = found(message as oracledb.AdvancedQueueMessage<unknown>, own.kind);
    if (channelOf(one.decoded) === channel) all.push(one);
  }
  return all;
}

/** Dequeues one message by its id; undefined when it is not there, or another session has it. */
export async function take(
  connection: Connection,
  own: OwnQueue,
  messageId: Buffer,
): Promise<Found | undefined> {
  const queue = await openQueue(connection, own);
  queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
  queue.deqOptions.msgId = messageId;
  const message = await queue.deqOne();
  return message && found(message as oracledb.AdvancedQueueMessage<unknown>, own.kind);
}

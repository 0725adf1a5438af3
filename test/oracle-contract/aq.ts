/** The driver's AQ API as it is: @types/oracledb is behind version 26. */
import oracledb, { type Connection } from "oracledb";
import { expect } from "vitest";

export interface AqMessage {
  readonly payload: unknown;
  readonly msgId: Buffer;
  readonly correlation: string | null;
  readonly priority: number;
  readonly numAttempts: number;
  readonly state: number;
  readonly enqTime: Date;
}

export interface NewAqMessage {
  payload: unknown;
  correlation?: string;
  delay?: number;
  expiration?: number;
  priority?: number;
  exceptionQueue?: string;
}

export interface AqQueue {
  readonly name: string;
  readonly deqOptions: {
    wait: number;
    navigation: number;
    mode: number;
    visibility: number;
    correlation: string;
    msgId: Buffer | null;
    consumerName: string;
  };
  readonly enqOptions: { visibility: number };
  enqOne(message: string | Buffer | NewAqMessage): Promise<AqMessage>;
  enqMany(messages: (string | Buffer | NewAqMessage)[]): Promise<AqMessage[]>;
  deqOne(): Promise<AqMessage | undefined>;
  deqMany(max: number): Promise<AqMessage[]>;
}

/** A queue with the options a worker sets: a finite wait (in seconds) and FIRST_MESSAGE. */
export async function openQueue(
  connection: Connection,
  name: string,
  options: { wait?: number; json?: boolean } = {},
): Promise<AqQueue> {
  const queue = (await connection.getQueue(
    name,
    // biome-ignore lint/suspicious/noExplicitAny: the types know no payloadType for JSON
    (options.json ? { payloadType: oracledb.DB_TYPE_JSON } : {}) as any,
  )) as unknown as AqQueue;
  queue.deqOptions.wait = options.wait ?? 0;
  queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
  return queue;
}

export function texts(messages: readonly AqMessage[]): string[] {
  return messages.map((message) => String(message.payload));
}

/** The error code of a call that has to fail. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return (error as { code: string }).code;
  }
  return expect.fail("the call did not fail");
}

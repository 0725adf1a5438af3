import type { Connection } from "oracledb";

export interface NewQueue {
  json?: boolean;
  /** Default 5. */
  maxRetries?: number;
  /** Of a multi-consumer queue. */
  subscribers?: readonly string[];
}

export interface ContractQueue {
  /** OWNER.NAME */
  readonly name: string;
  /** OWNER.NAME of the exception queue, started for dequeue. */
  readonly exceptionQueue: string;
  /** Committed messages that are not gone, whoever has locked them. */
  depth(): Promise<number>;
  /** Enqueues and commits a message with user properties, which the Thin driver cannot decode. */
  enqueueUndecodable(text: string): Promise<void>;
  stop(): Promise<void>;
}

/** A database that the contract runs against, and the hooks of its administrator. */
export interface ContractTarget {
  readonly host: string;
  readonly port: number;
  readonly serviceName: string;
  readonly user: string;
  readonly password: string;
  /** Whether the database has queues of JSON (21c and later). */
  readonly hasJsonQueues: boolean;
  /** A new queue of its own table, started. */
  createQueue(options?: NewQueue): Promise<ContractQueue>;
  /**
   * Prepares ALTER SYSTEM KILL SESSION for a connection, which has to be idle; call the result when
   * it is to happen. Undefined when the test user may not.
   */
  prepareKill?(connection: Connection): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/**
 * A stand-in for an Oracle database with Advanced Queuing, for the demo, tests and benchmarks: a
 * TCP server that the unmodified `oracledb` Thin driver takes for a database. Never for production.
 * docs/emulator.md says what it does and what it does not; passing on it is no proof for Oracle.
 */

export type { MessageProperties, PayloadKind } from "./aq/message.ts";
export { type DequeueOptions, MODE, NAVIGATION, WAIT_FOREVER } from "./aq/options.ts";
export type { Change, UndoCause } from "./aq/transaction.ts";
export { type Clock, ManualClock } from "./clock.ts";
export { OraError } from "./errors.ts";
export type { Faults, Refusal, SessionRef } from "./fault-switches.ts";
export type { Fault, FaultAction, FaultRule, Moment } from "./faults.ts";
export type { LockResult } from "./locks.ts";
export type { ProfileName } from "./net/profiles.ts";
export type { CreateQueue, QueueAdmin } from "./queue-admin.ts";
export { PlSqlDequeue, type PlSqlDequeueOptions } from "./schema/plsql-dequeue.ts";
export type { LogRow } from "./schema/rtm-log.ts";
export { RtmSchema, type RtmSchemaOptions } from "./schema/rtm-schema.ts";
export type { WorkerRow } from "./schema/rtm-worker-api.ts";
export { type Emulator, type EmulatorOptions, startEmulator } from "./server.ts";
export type { ReceivedMessage, Session } from "./session.ts";
export type {
  StatementCall,
  StatementHandler,
  StatementMatcher,
  StatementResult,
} from "./sql/statements.ts";
export type { SqlValue } from "./sql/values.ts";
export type { CallName, SessionView } from "./views.ts";

/** What can be wrong with the engine, each with its code (docs/errors.md). */
import { RtmError } from "../../../common/errors.ts";

/** Not reached, silent, or gone in the middle of a call. It is tried again. */
export class EngineUnreachableError extends RtmError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("RTM_LOG_UNREACHABLE", message, options);
  }
}

/** It answered that it will not do this: wrong user, a right that is missing. */
export class EngineDeniedError extends RtmError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("RTM_LOG_DENIED", message, options);
  }
}

/** It cannot take a write now: out of memory, a failed save, too few replicas. Reads may go on. */
export class EngineRefusedError extends RtmError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("RTM_LOG_REFUSED", message, options);
  }
}

export type UnsuitableReason = "policy" | "version" | "role" | "cluster" | "ids" | "client";

/** It could never keep the promises of the log as it is set up; a start is refused. */
export class EngineUnsuitableError extends RtmError {
  readonly reason: UnsuitableReason;

  constructor(reason: UnsuitableReason, message: string, options?: { cause?: unknown }) {
    super("RTM_LOG_UNSUITABLE", message, options);
    this.reason = reason;
  }
}

/**
 * The meaning of an error reply: its first word is a code of the engine, or of our scripts.
 * @param what the call, for the message
 */
export function replyError(what: string, error: Error): RtmError {
  const { message } = error;
  const options = { cause: error };
  if (/RTMIDS/.test(message)) {
    return new EngineUnsuitableError(
      "ids",
      "the engine hides run_id or master_replid in INFO, so a restart that lost messages could not " +
        "be noticed; use an engine that shows them",
      options,
    );
  }
  if (/RTMREPLICA|^READONLY/.test(message)) {
    return new EngineUnsuitableError(
      "role",
      "relay.log.url names a replica; name the primary",
      options,
    );
  }
  if (/^(NOAUTH|WRONGPASS|NOPERM)|NOPERM|ACL failure/.test(message)) {
    return new EngineDeniedError(`${what}: ${message}`, options);
  }
  if (/^(LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN)/.test(message)) {
    return new EngineUnreachableError(`${what}: ${message}`, options);
  }
  return new EngineRefusedError(`${what}: ${message}`, options);
}

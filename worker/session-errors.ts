/** How a session can fail beside the errors of the database; docs/errors.md describes each. */
import { RtmError } from "../common/errors.ts";

/** A call got no answer in time; the session was abandoned. */
export class SessionHungError extends RtmError {
  constructor(what: string, limitMs: number) {
    super(
      "RTM_SESSION_HUNG",
      `${what} got no answer within ${Math.round(limitMs)} ms; the session is abandoned`,
    );
  }
}

/** A call on a session that was abandoned before. */
export class SessionAbandonedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_ABANDONED", `${what}: this session was abandoned`);
  }
}

/** A logon or a wait that was asked for after the stop. */
export class SessionInterruptedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_INTERRUPTED", `${what}: the session is being closed`);
  }
}

/** The driver failed on an answer in a way that it does not expect itself. */
export class DriverFailedError extends RtmError {
  constructor(what: string, cause: unknown) {
    super("RTM_DRIVER_FAILED", `${what}: the driver failed on the database's answer: ${cause}`, {
      cause,
    });
  }
}

/** Versions of the package RTM_WORKER_API, and which of them this worker works with (docs/worker-api.md). */
import { RtmError } from "../common/errors.ts";

/**
 * Oldest version of the package specification that this worker needs. Later ones of the same hundred only
 * add to it, so the database may be upgraded while older workers run; another hundred changed something.
 * Version 2 added presence, and revocations that outlive the relay; version 3 consumers.
 */
export const WORKER_API_VERSION = 1;

/** From this version on the package has PRESENCE and REVOCATIONS. */
export const WITH_PRESENCE = 2;

/** From this version on each consumer of a multi-consumer queue has a lease and a backlog of its own. */
export const WITH_CONSUMERS = 3;

/** What an older version means to who dequeues as a consumer. */
export function sharedLease(theirs: number): string {
  return `RTM_WORKER_API has version ${theirs}, which knows no consumers: of those of one queue one dequeues at a time`;
}

/** The database's RTM_WORKER_API and this worker do not fit together. */
export class ApiVersionError extends RtmError {
  constructor(owner: string, theirs: number) {
    super(
      "RTM_API_VERSION",
      `${owner}.RTM_WORKER_API has version ${theirs}, this worker was made for ${WORKER_API_VERSION}: upgrade ${
        theirs < WORKER_API_VERSION ? "the database objects (rtm db install)" : "this worker"
      }`,
    );
  }
}

const hundreds = (version: number) => Math.floor(version / 100);

/** @throws {ApiVersionError} when the package of `owner` is older than needed, or of another hundred. */
export function checkApiVersion(owner: string, theirs: number): void {
  if (theirs < WORKER_API_VERSION || hundreds(theirs) !== hundreds(WORKER_API_VERSION)) {
    throw new ApiVersionError(owner, theirs);
  }
}

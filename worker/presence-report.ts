/**
 * Tells the database who is present: a session of its own, on which the worker that leads the queue calls
 * RTM_WORKER_API.PRESENCE every `worker.presenceInterval`. Nothing here ever stops the consumers; what
 * fails is logged, and told again in full.
 */
import { sleep } from "../common/backoff.ts";
import type { Logger, RateLimitedLog } from "../common/logger.ts";
import type { PresenceFeed, PresentMember } from "../relay/contract/presence-feed.ts";
import { WITH_PRESENCE } from "./api-version.ts";
import type { WorkerConfig } from "./config.ts";
import type { QueueConsumer } from "./consumer.ts";
import type { Logon } from "./logon.ts";
import {
  apiOwner,
  MAX_MEMBERS_PER_CALL,
  type PresencePart,
  PresencePass,
  RtmWorkerApi,
} from "./rtm-worker-api.ts";
import type { Session } from "./session.ts";

export interface PresenceReportOptions {
  readonly feed: PresenceFeed;
  readonly logon: Logon;
  readonly worker: Pick<WorkerConfig, "apiSchema" | "presenceInterval">;
  readonly consumers: readonly QueueConsumer[];
  readonly log: Logger;
  readonly warnings: RateLimitedLog;
  /** The source's name in the database. */
  readonly workerId: string;
}

/** Runs until the signal is aborted. Never rejects. */
export async function reportPresence(
  options: PresenceReportOptions,
  signal: AbortSignal,
): Promise<void> {
  const { worker, warnings, log, logon, feed, workerId } = options;
  let session: Session | undefined;
  /** The database does not know the whole list, or may have lost it. */
  let full = true;
  const leave = async () => {
    await session?.discard();
    session = undefined;
    full = true;
  };
  const report = async (owner: string): Promise<void> => {
    const members = feed.read(full);
    if (members === undefined) {
      // What would be told now is not what is true: nobody has left yet.
      full = true;
      return;
    }
    session ??= await logon.open({ action: "presence", log, signal });
    const api = new RtmWorkerApi(session, owner);
    const wasFull = full;
    // Until all of it has been taken.
    full = true;
    for (const part of reportParts(members, wasFull)) {
      const forgotten = await api.presence(workerId, part);
      if (forgotten && !wasFull) return report(owner);
    }
    full = false;
  };
  while (!signal.aborted) {
    const owner = leadingOwner(options);
    if (owner === undefined) await leave();
    else {
      try {
        await report(owner);
        if (session?.isOld) await leave();
      } catch (error) {
        await leave();
        if (!signal.aborted) warnings.warn("presence", { err: error }, "presence was not told");
      }
    }
    await sleep(worker.presenceInterval, signal).catch(() => {});
  }
  await session?.discard();
}

/**
 * The schema whose RTM_WORKER_API is told: that of the first queue which is its own, while this worker
 * leads it and the package has the procedure.
 */
function leadingOwner({ consumers, worker }: PresenceReportOptions): string | undefined {
  const consumer = consumers.find(({ known }) => known?.isOwn);
  const leads = consumer?.state.name === "active" || consumer?.state.name === "holding";
  if (!leads || (consumer?.known?.apiVersion ?? 0) < WITH_PRESENCE) return undefined;
  return apiOwner(worker, consumer!.known!.name);
}

/** What one report is sent in. A full one begins a list and ends it, also an empty one. */
export function* reportParts(
  members: readonly PresentMember[],
  full: boolean,
  most = MAX_MEMBERS_PER_CALL,
): Generator<PresencePart> {
  for (let start = 0; start === 0 || start < members.length; start += most) {
    const isFirst = start === 0;
    const isLast = start + most >= members.length;
    yield { pass: passOf(full, isFirst, isLast), members: members.slice(start, start + most) };
  }
}

function passOf(full: boolean, isFirst: boolean, isLast: boolean): PresencePart["pass"] {
  if (!full) return PresencePass.changes;
  if (isFirst) return isLast ? PresencePass.everybody : PresencePass.first;
  return isLast ? PresencePass.last : PresencePass.further;
}

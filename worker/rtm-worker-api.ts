/** Calls of the package RTM_WORKER_API (docs/worker-api.md), one method per procedure. */
import type oracledb from "oracledb";
import type { PresentMember } from "../relay/contract/presence-feed.ts";
import { checkApiVersion } from "./api-version.ts";
import {
  inNumbers,
  inTexts,
  outNumber,
  outPieces,
  outText,
  outTexts,
  PIECE_BYTES,
  toPieces,
} from "./binds.ts";
import type { WorkerConfig } from "./config.ts";
import type { Dequeued, Poison } from "./decode.ts";
import { classifyOracleError, oraCode, WORKER_API_ERRORS } from "./oracle-errors.ts";
import type { Session } from "./session.ts";
import { type TextRequest, type TextResult, textBinds, textResult } from "./text-dequeue.ts";

/** Revocations of one answer (docs/worker-api.md), and the longest of them, bytes. */
const REVOCATIONS_PER_CALL = 100;
const REVOCATION_BYTES = 4000;
/** Most members of one call of `presence`. */
export const MAX_MEMBERS_PER_CALL = 10_000;

export interface Versions {
  readonly apiVersion: number;
  readonly schemaVersion: string;
  readonly databaseVersion: string;
  /** OWNER.RTM_QUEUE */
  readonly queueName: string;
  readonly payloadKind: "RAW" | "JSON";
  readonly leasePossible: boolean;
  /** The database's clock minus ours, ms; positive when the database is ahead. */
  readonly clockOffsetMs: number;
}

export interface QueueBacklog {
  /** Ready messages, counted up to the limit. */
  readonly ready: number;
  /** Age of the oldest ready message in seconds; null when none is ready. */
  readonly oldestAgeS: number | null;
  /** Messages in the exception queue, counted up to the limit. */
  readonly exceptions: number;
}

export interface Heartbeat {
  readonly workerId: string;
  readonly queueName: string;
  readonly host: string;
  readonly version: string;
  readonly state: "ACTIVE" | "STANDBY" | "HOLDING" | "STOPPING";
}

/** What the members of one call are (docs/worker-api.md, PRESENCE). */
export const PresencePass = { changes: 0, everybody: 1, first: 2, further: 3, last: 4 } as const;

export interface PresencePart {
  readonly pass: (typeof PresencePass)[keyof typeof PresencePass];
  readonly members: readonly PresentMember[];
}

/**
 * Stands in for an empty list, since an empty array was never bound on a real database: no channel has
 * this name, so that nobody is said to have left.
 */
const NOBODY: PresentMember = { channel: "*", user: "*", connections: 0, sinceMs: 0 };

/** The schema whose RTM_WORKER_API serves a queue: the configured one, else the queue's owner. */
export function apiOwner(
  { apiSchema }: Pick<WorkerConfig, "apiSchema">,
  queueName: string,
): string {
  return apiSchema ?? queueName.split(".")[0]!;
}

/**
 * The calls of RTM_WORKER_API (docs/worker-api.md), all over one session. Each throws what
 * `Session.call` throws.
 */
export class RtmWorkerApi {
  readonly #session: Session;
  readonly #owner: string;
  readonly #package: string;

  /** @param owner schema that holds RTM_WORKER_API, an unquoted Oracle name. */
  constructor(session: Session, owner: string) {
    this.#session = session;
    this.#owner = owner;
    this.#package = `${owner}.rtm_worker_api`;
  }

  async #call<T>(
    procedure: string,
    args: string,
    binds: oracledb.BindParameters,
    waitMs = 0,
  ): Promise<T> {
    const sql = `begin ${this.#package}.${procedure}(${args}); end;`;
    const call = () =>
      waitMs > 0
        ? this.#session.executeWaiting(procedure, sql, binds, waitMs)
        : this.#session.execute(procedure, sql, binds);
    let result: oracledb.Result<unknown>;
    try {
      result = await call();
    } catch (error) {
      // The package was recompiled by an upgrade. The failed call did nothing, and the next one
      // finds the package in its new state.
      if (classifyOracleError(error).class !== "stale_state") throw error;
      result = await call();
    }
    return (result.outBinds ?? {}) as T;
  }

  /** @throws {ApiVersionError}; ORA-06550 when the package is missing or not granted. */
  async versions(): Promise<Versions> {
    const before = Date.now();
    const out = await this.#call<{
      api: number;
      schema: string;
      db: string;
      queue: string;
      kind: "RAW" | "JSON";
      lease: number;
      now: number;
    }>("versions", ":api, :schema, :db, :queue, :kind, :lease, :now", {
      api: outNumber,
      schema: outText(128),
      db: outText(256),
      queue: outText(261),
      kind: outText(30),
      lease: outNumber,
      now: outNumber,
    });
    const after = Date.now();
    checkApiVersion(this.#owner, out.api);
    return {
      apiVersion: out.api,
      schemaVersion: out.schema,
      databaseVersion: out.db,
      queueName: out.queue.toUpperCase(),
      payloadKind: out.kind,
      leasePossible: out.lease === 1,
      clockOffsetMs: out.now - (before + after) / 2,
    };
  }

  /**
   * Waits up to `waitMs` (at most 60 s) for the exclusive lease of a queue.
   * @param consumer of a multi-consumer queue: only this one's. Version 3 on
   */
  async acquireLease(
    queueName: string,
    waitMs: number,
    consumer?: string,
  ): Promise<"ACQUIRED" | "BUSY" | "NO_GRANT"> {
    const args = consumer === undefined ? ":queue, :wait" : ":queue, :wait, :consumer";
    const result = await this.#session.executeWaiting<never>(
      "acquire_lease",
      `begin :outcome := ${this.#package}.acquire_lease(${args}); end;`,
      {
        outcome: outText(30),
        queue: queueName,
        wait: Math.ceil(waitMs / 1000),
        ...(consumer !== undefined && { consumer }),
      },
      waitMs,
    );
    return (result.outBinds as unknown as { outcome: "ACQUIRED" | "BUSY" | "NO_GRANT" }).outcome;
  }

  /** A number above all that were given before; taken after the lease, it orders its holders. */
  async leaseToken(queueName: string): Promise<number> {
    const result = await this.#session.execute<never>(
      "lease_token",
      `begin :token := ${this.#package}.lease_token(:queue); end;`,
      { token: outNumber, queue: queueName },
    );
    return (result.outBinds as unknown as { token: number }).token;
  }

  /** Says that this worker lives; the package commits it by itself. */
  heartbeat({ workerId, queueName, host, version, state }: Heartbeat): Promise<void> {
    return this.#call("heartbeat", ":worker, :queue, :host, :version, :state", {
      worker: workerId,
      queue: queueName,
      host,
      version,
      state,
    });
  }

  /**
   * What waits in the queue.
   * @param limit how far messages are counted
   * @param consumer of a multi-consumer queue: only what waits for this one. Version 3 on
   */
  async backlog(queueName: string, limit: number, consumer?: string): Promise<QueueBacklog> {
    const out = await this.#call<{ ready: number; oldest: number | null; exceptions: number }>(
      "backlog",
      `:queue, :limit, :ready, :oldest, :exceptions${consumer === undefined ? "" : ", :consumer"}`,
      {
        queue: queueName,
        limit,
        ready: outNumber,
        oldest: outNumber,
        exceptions: outNumber,
        ...(consumer !== undefined && { consumer }),
      },
    );
    return { ready: out.ready, oldestAgeS: out.oldest, exceptions: out.exceptions };
  }

  /**
   * Writes the receipts of a batch in one call, behind a savepoint: an error in it is returned, and
   * the dequeue transaction is as before the call.
   */
  async receipts(delivered: readonly { id: string; recipients: number }[]): Promise<string | null> {
    const result = await this.#session.execute(
      "receipts",
      `begin
  savepoint rtm_receipts;
  begin
    ${this.#package}.receipts(:ids, :recipients);
  exception
    when others then
      :error := substr(sqlerrm, 1, 2000);
      rollback to savepoint rtm_receipts;
  end;
end;`,
      {
        ids: inTexts(
          delivered.map(({ id }) => id),
          128,
        ),
        recipients: inNumbers(delivered.map((each) => each.recipients)),
        error: outText(4000),
      },
    );
    return (result.outBinds as { error?: string | null }).error ?? null;
  }

  /** The text of a claim check, or `undefined` when its row is gone. */
  async claimCheck(checkId: string): Promise<string | undefined> {
    const pieces: string[] = [];
    for (let offset: number | null = 1; offset !== null; ) {
      try {
        const out: { pieces: string[]; next: number | null } = await this.#call(
          "claim",
          ":claim, :offset, :pieces, :next",
          { claim: checkId, offset, pieces: outPieces, next: outNumber },
        );
        pieces.push(...out.pieces);
        offset = out.next;
      } catch (error) {
        if (oraCode(error) === WORKER_API_ERRORS.noClaim) return undefined;
        throw error;
      }
    }
    return pieces.join("");
  }

  /** Deletes the rows of claim checks, in the dequeue transaction. */
  deleteClaimChecks(checkIds: readonly string[]): Promise<void> {
    return this.#call("delete_claims", ":claims", { claims: inTexts(checkIds, 128) });
  }

  /** Revocations in force, oldest first: JSON texts of control items. Version 2 on. */
  async revocations(): Promise<string[]> {
    const found: string[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const out: { items: string[]; next: number | null } = await this.#call(
        "revocations",
        ":after, :items, :next",
        {
          after,
          items: outTexts(REVOCATION_BYTES, REVOCATIONS_PER_CALL),
          next: outNumber,
        },
      );
      found.push(...out.items);
      after = out.next;
    }
    return found;
  }

  /** Tells who is present. Version 2 on. True when the database wants to hear everybody. */
  async presence(source: string, { pass, members }: PresencePart): Promise<boolean> {
    const listed = members.length > 0 ? members : [NOBODY];
    const texts = (of: (member: PresentMember) => string | undefined, maxSize: number) =>
      inTexts(
        listed.map((member) => of(member) ?? null),
        maxSize,
      );
    const out = await this.#call<{ resend: number }>(
      "presence",
      ":source, :pass, :channels, :users, :connections, :infos, :since, :resend",
      {
        source,
        pass,
        channels: texts(({ channel }) => channel, 128),
        users: texts(({ user }) => user, 1024),
        connections: inNumbers(listed.map(({ connections }) => connections)),
        infos: texts(({ info }) => info, 2000),
        since: inNumbers(listed.map(({ sinceMs }) => sinceMs)),
        resend: outNumber,
      },
    );
    return out.resend === 1;
  }

  /** One dequeue in PL/SQL; `undefined` when nothing came within the wait. */
  async dequeueText(request: TextRequest): Promise<Dequeued | undefined> {
    const out = await this.#call<TextResult>(
      "dequeue_text",
      ":queue, :kind, :consumer, :wait, :navigation, :id, :attempts, :enqueued, :pieces, :truncated",
      textBinds(request),
      request.waitMs,
    );
    return textResult(out);
  }

  /** Keeps a poison message in RTM_LOG, in the dequeue transaction. */
  setAside(queueName: string, poison: Poison): Promise<void> {
    return this.#call("set_aside", ":queue, :id, :channel, :event, :code, :reason, :pieces", {
      queue: queueName,
      id: poison.id,
      channel: poison.channel ?? null,
      event: poison.eventName ?? null,
      code: poison.code,
      reason: poison.reason.slice(0, 1000),
      pieces: inTexts(toPieces(poison.payload), PIECE_BYTES),
    });
  }

  /** Broadcasts a probe through WEBSOCKET_API; the caller commits. Returns the transport. */
  async probe(nonce: string, channel: string): Promise<string> {
    const result = await this.#session.execute(
      "probe",
      `begin :transport := ${this.#package}.probe(:nonce, :channel); end;`,
      { transport: outText(128), nonce, channel },
    );
    return (result.outBinds as { transport: string }).transport;
  }
}

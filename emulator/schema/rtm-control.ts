/**
 * The control procedures of WEBSOCKET_API and RTM_WORKER_API.REVOCATIONS, written from
 * sql/api/public/rtm_control.pkb: an item on the queue and, for a revocation, a row, in one transaction.
 */
import { createHmac } from "node:crypto";
import type { Session } from "../session.ts";
import type { Args } from "./procedures.ts";

const LIFE_MS = 90_000_000;
/** As many as one call of REVOCATIONS gives. */
const SLICE = 100;
/** Stands for the key in RTM_CONFIG. */
const SESSION_KEY = "emulator";

export interface RevocationRow {
  readonly id: number;
  readonly op: "revoke" | "unsubscribe";
  readonly body: Readonly<Record<string, unknown>>;
  readonly beforeMs: number;
  readonly untilMs: number;
}

export interface RtmControlOptions {
  /** The database's clock, ms since 1970. */
  readonly now: () => number;
  /** Enqueues an item in the session's transaction. */
  readonly enqueue: (session: Session, header: object, body: string) => void;
  readonly userChannel: (user: string) => string;
}

export class RtmControl {
  /** Committed rows of RTM_REVOCATION. */
  readonly revocations: RevocationRow[] = [];
  readonly #options: RtmControlOptions;
  #id = 0;

  constructor(options: RtmControlOptions) {
    this.#options = options;
  }

  /** Of WEBSOCKET_API, by name, with the arguments in PL/SQL's order. */
  get procedures(): Record<string, (session: Session, args: Args) => void> {
    return {
      forget_last: (session, [channel, eventName]) =>
        this.#send(session, "forget", {
          channel: String(channel),
          eventName: String(eventName ?? "message"),
        }),
      revoke_user: (session, [user]) => this.#revoke(session, "revoke", this.#who(user)),
      revoke_session: (session, [id]) =>
        this.#revoke(session, "revoke", { sid: sessionClaim(Number(id)) }),
      unsubscribe_user: (session, [user, channel]) =>
        this.#revoke(session, "unsubscribe", { ...this.#who(user), channel: String(channel) }),
      disconnect_user: (session, [user, stop]) =>
        this.#send(session, "disconnect", { ...this.#who(user), ...(stop && { stop: true }) }),
    };
  }

  /** The answer of REVOCATIONS. */
  inForce(after: number): { items: string[]; next: number | null } {
    const rows = this.revocations
      .filter(({ id, untilMs }) => id > after && untilMs > this.#options.now())
      .sort((a, b) => a.id - b.id)
      .slice(0, SLICE);
    return {
      items: rows.map(({ op, body, beforeMs }) =>
        JSON.stringify({ op, ...body, before: beforeMs }),
      ),
      next: rows.length < SLICE ? null : rows.at(-1)!.id,
    };
  }

  #who(user: Args[number] | undefined) {
    const name = String(user).trim();
    return { user: name, self: this.#options.userChannel(name) };
  }

  #revoke(session: Session, op: RevocationRow["op"], body: RevocationRow["body"]): void {
    const beforeMs = this.#options.now();
    const row = { id: ++this.#id, op, body, beforeMs, untilMs: beforeMs + LIFE_MS };
    session.change({ undo: () => {}, commit: () => void this.revocations.push(row) });
    this.#send(session, op, body);
  }

  #send(session: Session, op: string, body: object): void {
    const header = { v: 2, op, ts: this.#options.now() };
    this.#options.enqueue(session, header, JSON.stringify(body));
  }
}

/** RTM_TOKEN.SESSION_CLAIM, with the emulator's key. */
export function sessionClaim(session: number): string {
  const text = `apex-rtm session ${session}`;
  return createHmac("sha256", SESSION_KEY).update(text).digest("hex").slice(0, 32);
}

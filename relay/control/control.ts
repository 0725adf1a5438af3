/** Revokes, disconnects, unsubscribes and forgets: items of the queue and of REST become notices. */
import { EVERY_TOKEN, keysOfWhom } from "../access/revocations.ts";
import type { Clients } from "../clients/clients.ts";
import type { ControlItem, ControlResult, Whom } from "../contract/control.ts";
import { type Fact, isFact, type Notice } from "../log/fact.ts";
import type { Log, Noted } from "../log/log.ts";
import type { Notices } from "../log/notices.ts";
import { lastKey } from "../log/retained-value.ts";
import { type RevocationFact, revocationFact } from "./revocation-fact.ts";
import type { RevocationFile } from "./revocation-file.ts";
import { RevocationRoom } from "./revocation-room.ts";
import type { Revoking } from "./revoking.ts";

const DISCONNECT = "disconnect";

export interface ControlOptions {
  readonly clients: Clients;
  readonly messageLog: Log;
  readonly revoking: Revoking;
  /** Where revocations are kept; undefined where they are not. With a shared log they are there too. */
  readonly file: RevocationFile | undefined;
  readonly shared: boolean;
}

/** What items of one call share. */
interface Call {
  readonly now: number;
  readonly room: RevocationRoom;
  readonly mayRevokeAll: boolean;
}

function isRevocation(notice: Notice): notice is Fact {
  return isFact(notice) && notice.table === "revoked";
}

/**
 * Makes facts and signals of control items, and acts on the signals. The answer comes when the log
 * has them; `unavailable` when it cannot take them now.
 */
export class Control {
  readonly #options: ControlOptions;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  /** Acts on what nodes tell each other. Called before the log is followed. */
  listen(notices: Notices): void {
    notices.read(["revoked"], this.#options.revoking);
    notices.on(DISCONNECT, (body) => this.#disconnect(JSON.parse(body)));
  }

  /**
   * One result per item, in order; as `Publisher.control`.
   * @param mayRevokeAll whether whoever says it may end every token, where there is no room for one more
   * revocation; otherwise it has to wait
   */
  async take(
    items: readonly ControlItem[],
    mayRevokeAll: boolean,
  ): Promise<readonly ControlResult[]> {
    const now = Date.now();
    const results: (ControlResult | undefined)[] = [];
    const notices: Notice[] = [];
    /** Of each item its places among the notices. */
    const places: number[][] = [];
    const placeOf = new Map<Notice, number>();
    const room = new RevocationRoom(this.#options.clients.revocations);
    for (const [index, item] of items.entries()) {
      const made = this.#noticesOf(item, { now, room, mayRevokeAll });
      if ("status" in made) {
        results[index] = made;
        if (made.status !== "unavailable") continue;
        // Nothing behind it is taken, so that the order holds when it is tried again.
        for (let rest = index + 1; rest < items.length; rest++) results[rest] = made;
        break;
      }
      places[index] = made.map((notice) => {
        const place = placeOf.get(notice) ?? notices.push(notice) - 1;
        placeOf.set(notice, place);
        return place;
      });
    }
    const noted = notices.length === 0 ? [] : await this.#options.messageLog.note(notices);
    if (room.made && noted[placeOf.get(room.made) as number]?.status === "accepted") {
      this.#reportAll(room.made);
    }
    const durable = this.#keep(notices, noted);
    return items.map((_, index) => {
      let result = results[index];
      for (const place of places[index] ?? []) {
        const one = noted[place] as Noted;
        if (one.status !== "accepted") {
          return { status: "unavailable", code: "unavailable", message: one.message };
        }
        if (!durable && isRevocation(notices[place] as Notice)) {
          result = { status: "accepted", durable: false };
        }
      }
      return result ?? { status: "accepted" };
    });
  }

  #reportAll({ rank }: RevocationFact): void {
    const { clients } = this.#options;
    clients.stats.revokedAll();
    clients.warnings.warn(
      "revoked all",
      { before: new Date(rank).toISOString() },
      "no room for one more revocation: all tokens issued before now are revoked in its place",
    );
  }

  /** Puts into force here, and onto the disk, what the log has taken. */
  #keep(notices: readonly Notice[], noted: readonly Noted[]): boolean {
    const { revoking, file, shared } = this.#options;
    const facts = notices.filter(
      (notice, place): notice is Fact =>
        isRevocation(notice) && noted[place]?.status === "accepted",
    );
    if (facts.length === 0) return true;
    // A log elsewhere may take a moment until it is heard.
    for (const fact of facts) revoking.apply(fact);
    revoking.applied();
    return file ? file.append(facts) : shared;
  }

  #noticesOf(item: ControlItem, call: Call): readonly Notice[] | ControlResult {
    switch (item.op) {
      case "disconnect":
        return [{ signal: DISCONNECT, body: JSON.stringify({ ...item, op: undefined }) }];
      case "forget":
        return [{ table: "last", key: lastKey(item.channel, item.eventName), value: null }];
      case "revoke":
        return this.#revoke(item, undefined, call);
      case "unsubscribe":
        return this.#revoke(item, item.channel, call);
    }
  }

  #revoke(
    item: Whom & { readonly before?: number },
    channel: string | undefined,
    { now, room, mayRevokeAll }: Call,
  ): readonly Notice[] | ControlResult {
    const { clockTolerance, maxLifetime } = this.#options.clients.config.tokens;
    // Who does not say it by the issuer's clock means all that the issuer can have made by now.
    const latest = now + clockTolerance;
    const before = item.before ?? latest;
    if (before > now + maxLifetime) {
      const message = "before lies further ahead than tokens.maxLifetime";
      return { status: "rejected", code: "bad_control", message };
    }
    // A token issued just before it, at its longest, and tolerated on either side.
    const until = (from: number) => from + maxLifetime + 2 * clockTolerance;
    const untilMs = until(before);
    if (untilMs <= now) return [];
    const facts = keysOfWhom(item, channel).map((key) => revocationFact(key, { before, untilMs }));
    // New tokens of everybody would be refused until `before`.
    const canRevokeAll = mayRevokeAll && before <= latest;
    const all = Math.max(before, now);
    const admitted = room.admit({
      facts,
      ofChannel: channel !== undefined,
      instead: canRevokeAll
        ? revocationFact(EVERY_TOKEN, { before: all, untilMs: until(all) })
        : undefined,
    });
    if (typeof admitted !== "string") return admitted;
    return { status: "unavailable", code: "unavailable", message: admitted };
  }

  /** Closes the connections of whoever is meant. */
  #disconnect({ stop, ...whom }: Whom & { readonly stop?: boolean }): void {
    const { clients } = this.#options;
    const { user, self, sid, jti } = whom;
    for (const connection of [...clients.connections]) {
      const meant = connection.rights.some(
        (grant) =>
          (user !== undefined && grant.subject === user) ||
          (self !== undefined && grant.self === self) ||
          (sid !== undefined && grant.sid === sid) ||
          (jti !== undefined && grant.id === jti),
      );
      if (!meant) continue;
      if (stop) connection.close("ended", "the connection was ended");
      else connection.close("disconnected", "the connection was closed");
    }
  }
}

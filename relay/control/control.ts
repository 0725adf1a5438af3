/** Revokes, disconnects, unsubscribes and forgets: items of the queue and of REST become notices. */
import { keysOfWhom } from "../access/revocations.ts";
import type { Clients } from "../clients/clients.ts";
import type { ControlItem, ControlResult, Whom } from "../contract/control.ts";
import { type Fact, isFact, type Notice } from "../log/fact.ts";
import type { Log, Noted } from "../log/log.ts";
import type { Notices } from "../log/notices.ts";
import { revocationFact } from "./revocation-fact.ts";
import type { RevocationFile } from "./revocation-file.ts";
import type { Revoking } from "./revoking.ts";

/** Revocations that are remembered; beyond it further ones have to wait, and none is forgotten. */
export const MAX_REVOCATIONS = 100_000;
/** Of them those of one channel each: whoever may part users from some channels cannot fill the rest. */
export const MAX_CHANNEL_REVOCATIONS = MAX_REVOCATIONS / 2;

const DISCONNECT = "disconnect";

export interface ControlOptions {
  readonly clients: Clients;
  readonly messageLog: Log;
  readonly revoking: Revoking;
  /** Where revocations are kept; undefined where they are not. With a shared log they are there too. */
  readonly file: RevocationFile | undefined;
  readonly shared: boolean;
}

function isRevocation(notice: Notice): notice is Fact {
  return isFact(notice) && notice.table === "revoked";
}

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

  /** One result per item, in order; as `Publisher.control`. */
  async take(items: readonly ControlItem[]): Promise<readonly ControlResult[]> {
    const now = Date.now();
    const results: (ControlResult | undefined)[] = [];
    const notices: Notice[] = [];
    const owners: number[] = [];
    const { revocations } = this.#options.clients;
    const added = new Set<string>();
    const addedOfChannels = new Set<string>();
    for (const [index, item] of items.entries()) {
      const made = this.#noticesOf(item, now);
      if ("status" in made) {
        results[index] = made;
        continue;
      }
      for (const notice of made) {
        if (!this.#isNew(notice)) continue;
        added.add(notice.key);
        if (item.op === "unsubscribe") addedOfChannels.add(notice.key);
      }
      const full = [
        { known: revocations.size, added, most: MAX_REVOCATIONS, kind: "" },
        {
          known: revocations.ofChannels,
          added: addedOfChannels,
          most: MAX_CHANNEL_REVOCATIONS,
          kind: "of channels ",
        },
      ].find(({ known, added, most }) => added.size > 0 && known + added.size > most);
      if (full) {
        // Nothing behind it is taken, so that the order holds when it is tried again.
        const message = `${full.most} revocations ${full.kind}are in force: wait until some end`;
        for (let rest = index; rest < items.length; rest++) {
          results[rest] ??= { status: "unavailable", code: "unavailable", message };
        }
        break;
      }
      for (const notice of made) {
        notices.push(notice);
        owners.push(index);
      }
    }
    const noted = notices.length === 0 ? [] : await this.#options.messageLog.note(notices);
    const durable = this.#keep(notices, noted);
    for (const [place, index] of owners.entries()) {
      const one = noted[place] as Noted;
      if (one.status !== "accepted") {
        results[index] = { status: "unavailable", code: "unavailable", message: one.message };
      } else if (!durable && isRevocation(notices[place] as Notice)) {
        results[index] ??= { status: "accepted", durable: false };
      }
    }
    return items.map((_, index) => results[index] ?? { status: "accepted" });
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

  #isNew(notice: Notice): notice is Fact {
    return isRevocation(notice) && !this.#options.clients.revocations.get(notice.key);
  }

  #noticesOf(item: ControlItem, now: number): readonly Notice[] | ControlResult {
    switch (item.op) {
      case "disconnect":
        return [{ signal: DISCONNECT, body: JSON.stringify({ ...item, op: undefined }) }];
      case "forget":
        return [{ table: "last", key: `${item.channel}\0${item.eventName}`, value: null }];
      case "revoke":
        return this.#revoke(item, undefined, now);
      case "unsubscribe":
        return this.#revoke(item, item.channel, now);
    }
  }

  #revoke(
    item: Whom & { readonly before?: number },
    channel: string | undefined,
    now: number,
  ): readonly Notice[] | ControlResult {
    const { clockTolerance, maxLifetime } = this.#options.clients.config.tokens;
    // Who does not say it by the issuer's clock means all that the issuer can have made by now.
    const before = item.before ?? now + clockTolerance;
    if (before > now + maxLifetime) {
      const message = "before lies further ahead than tokens.maxLifetime";
      return { status: "rejected", code: "bad_control", message };
    }
    // A token issued just before it, at its longest, and tolerated on either side.
    const untilMs = before + maxLifetime + 2 * clockTolerance;
    if (untilMs <= now) return [];
    return keysOfWhom(item, channel).map((key) => revocationFact(key, { before, untilMs }));
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
          (sid !== undefined && grant.session === sid) ||
          (jti !== undefined && grant.id === jti),
      );
      if (!meant) continue;
      if (stop) connection.close("ended", "the connection was ended");
      else connection.close("disconnected", "the connection was closed");
    }
  }
}

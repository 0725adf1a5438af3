/** Tokens, and what revocations take from them. */
import type { ControlItem } from "../../../relay/contract/control.ts";
import { token as signed } from "../../relay/support.ts";
import { BEGIN_MS } from "./clock.ts";

/** Issue times lie in the past, one second after the other, so that each token is later than the last one. */
const FIRST_ISSUE_S = BEGIN_MS / 1000 - 20_000;
const LIFETIME_S = 40_000;

export interface ModelToken {
  readonly user: string;
  readonly sid: string;
  readonly jti: string;
  /** Seconds. */
  readonly issuedAt: number;
  readonly channels: readonly string[];
  readonly text: string;
}

type Disconnect = Extract<ControlItem, { readonly op: "disconnect" }>;
type Revocation = Extract<ControlItem, { readonly op: "revoke" | "unsubscribe" }>;

interface Given<Item> {
  readonly item: Item;
  /** Places in the order of everything: not before the first, surely from the second on. */
  readonly asked: number;
  answered: number;
}

/** Whether the item is about whoever holds the token. */
export function concerns(item: ControlItem, { user, sid, jti }: ModelToken): boolean {
  if (item.op === "forget") return false;
  return item.user === user || item.sid === sid || item.jti === jti;
}

export class ModelRights {
  readonly #inForce: Given<Revocation>[] = [];
  readonly #disconnects: Given<Disconnect>[] = [];
  #issued = 0;

  async issue(user: string, sid: string, channels: readonly string[]): Promise<ModelToken> {
    const issuedAt = FIRST_ISSUE_S + ++this.#issued;
    const jti = `t${this.#issued}`;
    const presence = { join: ["*"], watch: ["*"] };
    const claims = {
      sid,
      jti,
      presence,
      publish: ["*"],
      iat: issuedAt,
      exp: FIRST_ISSUE_S + LIFETIME_S,
    };
    const text = await signed(channels, { subject: user, claims });
    return { user, sid, jti, issuedAt, channels, text };
  }

  /** Tokens that were issued so far. */
  get issued(): number {
    return this.#issued;
  }

  /** A time before which all tokens but the last `spared` were issued, ms. */
  before(spared: number): number {
    return (FIRST_ISSUE_S + this.#issued + 1 - spared) * 1000;
  }

  /** @param asked place in the order of everything; `answered` of the result is set later */
  take(item: Revocation | Disconnect, asked: number): { answered: number } {
    const times = { asked, answered: Number.POSITIVE_INFINITY };
    if (item.op !== "disconnect") {
      const given = { item, ...times };
      this.#inForce.push(given);
      return given;
    }
    const given = { item, ...times };
    this.#disconnects.push(given);
    return given;
  }

  /** Whether a connection with these tokens, opened at `order`, was ended. */
  sentAway(tokens: readonly ModelToken[], order: number): boolean {
    return this.#disconnects.some(
      ({ item, answered }) => answered > order && tokens.some((token) => concerns(item, token)),
    );
  }

  /** Whether the token gives nothing any more. */
  isOver(token: ModelToken): boolean {
    return this.#takes(token, undefined).length > 0;
  }

  /** Whether `token` may still give `channel` to who asks, or is given something, at `order`. */
  may(token: ModelToken, channel: string, order: number): boolean {
    return (
      token.channels.includes(channel) &&
      !this.#takes(token, channel).some(({ answered }) => answered <= order)
    );
  }

  /** Whether one of the tokens surely still gives `channel`, or anything at all. */
  must(tokens: readonly ModelToken[], channel?: string): boolean {
    const lost = (token: ModelToken) => this.#takes(token, channel).length > 0;
    const grants = (token: ModelToken) => channel === undefined || token.channels.includes(channel);
    return tokens.some(
      (token) =>
        grants(token) &&
        !lost(token) &&
        // Of two of one session the later one may stand for both.
        !tokens.some(
          (other) => other.sid === token.sid && other.issuedAt > token.issuedAt && lost(other),
        ),
    );
  }

  /** Which revocations take the channel from the token; without a channel: all of it. */
  #takes(token: ModelToken, channel: string | undefined): Given<Revocation>[] {
    return this.#inForce.filter(
      ({ item }) =>
        concerns(item, token) &&
        token.issuedAt * 1000 < (item.before as number) &&
        (item.op === "revoke" || item.channel === channel),
    );
  }
}

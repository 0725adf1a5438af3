/** What a page's script holds: subscriptions on a connection that others may share. */
import { MAX_LAST, type PresenceWish } from "../../relay/contract/protocol.ts";
import type { Status } from "./link.ts";
import { Listener, type ListenerEvents, type Start } from "./listener.ts";
import type { RelayConnection } from "./relay-connection.ts";
import { type TokenOptions, type TokenProvider, TokenSource } from "./token.ts";
import type { Via } from "./ways.ts";

/** A fixed token, a function that fetches one, or a first token and the function for the rest. */
export type Token = string | TokenProvider | TokenOptions;

export interface SubscribeOptions extends ListenerEvents {
  /** Event names wanted; absent or "*" means all. */
  readonly events?: string | readonly string[] | undefined;
  /**
   * From where: `page` (default) replays what happened since the navigation to this page, `live`
   * starts with the next message, a position continues after a message seen before.
   */
  readonly from?: Start | undefined;
  /**
   * 1-10: where no position can be gone on from, begin with the newest so many messages of each event
   * in place of what `from` says. For what shows the present state.
   */
  readonly last?: number | undefined;
  /**
   * `join`: the token's user is seen by others in these channels; `watch`: they are seen by
   * `onMembers`. The token and a rule of the relay must allow it. Who watches must join, unless the
   * rule says otherwise.
   */
  readonly presence?: PresenceWish | undefined;
  /** The token for these channels; absent means the one given to `connect`. */
  readonly token?: Token | undefined;
}

export interface RtmSubscription {
  readonly channels: readonly string[];
  close(): void;
}

function tokenSource(token: Token | undefined): TokenSource | undefined {
  if (token === undefined) return undefined;
  if (typeof token === "string") return new TokenSource({ initial: token });
  return new TokenSource(typeof token === "function" ? { renew: token } : token);
}

export class RtmClient {
  readonly #connection: RelayConnection;
  readonly #source: TokenSource | undefined;
  readonly #parkMs: number;
  readonly #ends = new Set<() => void>();

  constructor(connection: RelayConnection, token?: Token, parkMs = Number.POSITIVE_INFINITY) {
    this.#connection = connection;
    this.#parkMs = parkMs;
    this.#source = tokenSource(token);
  }

  get status(): Status {
    return this.#connection.link.status;
  }

  /** What carries the messages; undefined while nothing does. */
  get via(): Via | undefined {
    return this.status.via;
  }

  /** Calls `watcher` now and at every change of the connection; returns what ends it. */
  onStatus(watcher: (status: Status) => void): () => void {
    const end = this.#connection.link.watch(watcher);
    this.#ends.add(end);
    return () => {
      this.#ends.delete(end);
      end();
    };
  }

  /** Throws `TypeError` when `last` cannot be used. */
  subscribe(channels: string | readonly string[], options: SubscribeOptions): RtmSubscription {
    const names = typeof channels === "string" ? [channels] : [...new Set(channels)];
    const events = typeof options.events === "string" ? [options.events] : options.events;
    const wanted = !events || events.includes("*") ? undefined : new Set(events);
    const source = options.token === undefined ? this.#source : tokenSource(options.token);
    const { presence, from = "page", last } = options;
    if (last !== undefined && !(Number.isInteger(last) && last > 0 && last <= MAX_LAST)) {
      throw new TypeError(`rtm: last must be 1 to ${MAX_LAST}, not ${last}`);
    }
    const listeners = names.map((name) => {
      const listener = new Listener(wanted, from, source, options, this.#parkMs, presence, last);
      this.#connection.add(name, listener);
      return [name, listener] as const;
    });
    const close = () => {
      this.#ends.delete(close);
      for (const [name, listener] of listeners) this.#connection.remove(name, listener);
    };
    this.#ends.add(close);
    return { channels: names, close };
  }

  /**
   * Sends an event for a moment, such as "is typing", to the others who listen to `channel`; nobody stores it.
   * `eventName` begins with `client:`. Resolves when the relay has taken it; rejects with a `PublishError`
   * where it is not sent: nothing waits for a connection. The token and the relay's configuration must allow it.
   */
  async publish(channel: string, eventName: string, payload?: unknown): Promise<void> {
    const more = await this.#connection.env.more();
    return more.publish(this.#connection, channel, eventName, payload);
  }

  /** Ends this client's subscriptions. The socket closes when nobody else uses it. */
  close(): void {
    for (const end of [...this.#ends]) end();
    this.#ends.clear();
  }
}

/** What a page's script holds: subscriptions on a connection that others may share. */
import type { MessageFrame, PresenceWish } from "../../relay/contract/protocol.ts";
import { Listener, type Start } from "./channel.ts";
import type { Status } from "./link.ts";
import type { Member, MembersChange } from "./members.ts";
import type { RelayConnection } from "./relay-connection.ts";
import { type TokenOptions, type TokenProvider, TokenSource } from "./token.ts";
import type { Via } from "./ways.ts";

/** A fixed token, a function that fetches one, or a first token and the function for the rest. */
export type Token = string | TokenProvider | TokenOptions;

export interface SubscribeOptions {
  /** Event names wanted; absent or "*" means all. */
  readonly events?: string | readonly string[] | undefined;
  /**
   * From where: `page` (default) replays what happened since the navigation to this page, `live`
   * starts with the next message, a position continues after a message seen before.
   */
  readonly from?: Start | undefined;
  /**
   * `join`: the token's user is seen by others in these channels; `watch`: they are seen by
   * `onMembers`. The token and a rule of the relay must allow it. Who watches must join, unless the
   * rule says otherwise.
   */
  readonly presence?: PresenceWish | undefined;
  /** The token for these channels; absent means the one given to `connect`. */
  readonly token?: Token | undefined;
  /** Called for each message. Payloads are untrusted: never write them as HTML. */
  onMessage?(message: MessageFrame): void;
  /** Called before a frame with messages since the last one; a burst is spread over frames. */
  onMessages?(messages: readonly MessageFrame[]): void;
  /**
   * Called when a channel is live, also after each reconnect. `recovered` is false when messages
   * may be missing: fetch again what the page shows.
   */
  onSubscribed?(channel: string, recovered: boolean): void;
  /**
   * Called when the token for a channel has ended. It goes on where it was, with `onSubscribed`,
   * when the next token arrives; `code` says why.
   */
  onSuspended?(channel: string, code: string): void;
  /** Called when the relay refuses a channel; `code` is explained in docs/protocol.md. */
  onDenied?(channel: string, code: string, message: string): void;
  /**
   * Called with `presence.watch` when it is known who is there, and at every change. `all` is empty
   * while there are too many to be listed; `count` is their number then too. A user with new info is
   * in `joined`. Names and infos are untrusted: never write them as HTML.
   */
  onMembers?(channel: string, all: readonly Member[], count: number, change: MembersChange): void;
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

  subscribe(channels: string | readonly string[], options: SubscribeOptions): RtmSubscription {
    const names = typeof channels === "string" ? [channels] : [...new Set(channels)];
    const events = typeof options.events === "string" ? [options.events] : options.events;
    const wanted = !events || events.includes("*") ? undefined : new Set(events);
    const source = options.token === undefined ? this.#source : tokenSource(options.token);
    const on = {
      onMessages(messages: readonly MessageFrame[]) {
        if (options.onMessage) for (const message of messages) options.onMessage(message);
        options.onMessages?.(messages);
      },
      onSubscribed: (channel: string, recovered: boolean) =>
        options.onSubscribed?.(channel, recovered),
      onSuspended: (channel: string, code: string) => options.onSuspended?.(channel, code),
      onDenied: (channel: string, code: string, message: string) =>
        options.onDenied?.(channel, code, message),
      onMembers: (channel: string, all: readonly Member[], count: number, change: MembersChange) =>
        options.onMembers?.(channel, all, count, change),
    };
    const { presence, from = "page" } = options;
    const listeners = names.map((name) => {
      const listener = new Listener(wanted, from, source, on, this.#parkMs, presence);
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

  /** Ends this client's subscriptions. The socket closes when nobody else uses it. */
  close(): void {
    for (const end of [...this.#ends]) end();
    this.#ends.clear();
  }
}

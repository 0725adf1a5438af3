/** One listener of a channel: what it is told, where it stands, and which messages it has had. Pure. */
import type {
  ClientEventFrame,
  MemberEntry,
  MessageFrame,
  PresenceWish,
} from "../../relay/contract/protocol.ts";
import type { TokenSource } from "./token.ts";

/** A point in a channel's stream: message `seq` of the relay's `epoch`. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** From where a listener wants messages: since the page was navigated to, from now on, or a point. */
export type Start = "page" | "live" | Position;

/** A user in a channel. Names and infos are others' words: never write them as HTML. */
export type Member = MemberEntry;

export interface MembersChange {
  /** Who came, and who shows something else of itself. */
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
  /** Under which id the page's own user is among the members; undefined when it is not seen. */
  readonly user?: string | undefined;
}

/** What another client has sent. Payloads are untrusted: never write them as HTML. */
export type ClientEvent = Omit<ClientEventFrame, "op">;

/** What a listener is told. */
export interface ListenerEvents {
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
   * Called for what other clients send with `publish`: no messages, in no order with them, never replayed.
   * With `events` only for those that it names. Payloads are untrusted: never write them as HTML.
   */
  onEvent?(event: ClientEvent): void;
  /**
   * Called with `presence.watch` when it is known who is there, and at every change. `all` is empty
   * while there are too many to be listed; `count` is their number then too. A user with new info is
   * in `joined`. Names and infos are untrusted: never write them as HTML.
   */
  onMembers?(channel: string, all: readonly Member[], count: number, change: MembersChange): void;
  /**
   * Called when the relay refuses what `presence` asks for; messages arrive all the same. It is asked
   * again with the next token, and then `onMembers` tells who is there.
   */
  onPresenceDenied?(channel: string, code: string, message: string): void;
}

/** Ids remembered per listener. They matter after a relay crash, when `seq` starts anew. */
const REMEMBERED_IDS = 512;

export class Listener {
  readonly events: ReadonlySet<string> | undefined;
  readonly source: TokenSource | undefined;
  /** Empty once it is removed. */
  on: ListenerEvents;
  /** Its page may give up the socket after being hidden for so long, ms. */
  readonly parkMs: number;
  /** Whether its user is to be seen, and whether it wants to see others. */
  readonly presence: PresenceWish;
  /** How many of the newest messages of each event it wants where nothing can be recovered. */
  readonly last: number | undefined;
  /** The relay has answered for it; what comes before is for the others. */
  answered = false;
  position: Position | undefined;
  /** It is told of a loss then. */
  due: ReturnType<typeof setTimeout> | undefined;
  readonly #fromPage: boolean;
  readonly #ids = new Set<string>();

  /** `events` undefined means all of them. */
  constructor(
    events: ReadonlySet<string> | undefined,
    start: Start,
    source: TokenSource | undefined,
    on: ListenerEvents,
    parkMs: number,
    presence: PresenceWish = {},
    last?: number,
  ) {
    this.last = last;
    this.parkMs = parkMs;
    this.presence = presence;
    this.events = events;
    this.source = source;
    this.on = on;
    this.#fromPage = start === "page";
    if (typeof start === "object") this.position = { epoch: start.epoch, seq: start.seq };
  }

  /** True when something before the next `subscribed` is of interest to it. */
  get wantsReplay(): boolean {
    return this.#fromPage || !!this.position || !!this.last;
  }

  get wantsPage(): boolean {
    return this.#fromPage && !this.position;
  }

  /** Moves on to `frame`; false when the listener had it already or does not want its event. */
  accept(epoch: string, frame: MessageFrame): boolean {
    const at = this.position;
    if (at && at.epoch === epoch && frame.seq <= at.seq) return false;
    this.position = { epoch, seq: frame.seq };
    return this.take(frame);
  }

  /** Whether it wants `frame` and has not had it. */
  take(frame: MessageFrame): boolean {
    if (this.#ids.has(frame.id)) return false;
    this.#ids.add(frame.id);
    if (this.#ids.size > REMEMBERED_IDS) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return !this.events || this.events.has(frame.eventName);
  }
}

/** Whether a filter lets through all that a listener wants (undefined: all events). */
export function lets(
  filter: readonly string[] | undefined,
  wanted: ReadonlySet<string> | undefined,
): boolean {
  if (!Array.isArray(filter)) return true;
  return wanted !== undefined && [...wanted].every((name) => filter.includes(name));
}

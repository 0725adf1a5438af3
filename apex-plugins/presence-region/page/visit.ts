/**
 * One visit: the user is a member of the channel, and of the channel beside it while the page is looked
 * at. A page that was gone for long comes back as a new visitor, behind those who have come meanwhile.
 */
import type { RtmSubscription } from "../../client/client.ts";
import type { Member } from "../../client/listener.ts";
import { connect } from "../../client/script.ts";
import type { TokenOptions } from "../../client/token.ts";
import { Renewal } from "../../shared/page/renewal.ts";
import type { PresenceConfig } from "./config.ts";

/** What stands behind the name of the channel of those who look at their page. */
const LOOKING = "~here";
/** A page in the background for so long counts as away, unless the settings say otherwise, s. */
const AWAY_S = 30;
/** A connection lost for so long ends the visit, ms. Shorter than the relay remembers its user. */
const LOST_MS = 10_000;
const PARK_MINUTES = 5;
/** The region wants to know who is here, and no messages: an event that nobody sends. */
const EVENTS = ["rtm-presence"];

export interface VisitEvents {
  onMembers(members: readonly Member[], count: number, me: string | undefined): void;
  /** Who has the page before him; undefined: that is not known now. */
  onLooking(users: readonly string[] | undefined): void;
  onState(state: "live" | "offline"): void;
  /** The relay does not tell who is here; it is asked again with the next token. */
  onRefused(): void;
  /** It is over, and may begin again; `code`: it is over for good. */
  onEnd(code?: string): void;
}

export class Visit {
  readonly #config: PresenceConfig;
  readonly #ajaxIdentifier: string;
  readonly #on: VisitEvents;
  readonly #client: ReturnType<typeof connect>;
  readonly #providers;
  readonly #abort = new AbortController();
  #token: string;
  #member: RtmSubscription | undefined;
  #looking: RtmSubscription | undefined;
  #awayTimer: ReturnType<typeof setTimeout> | undefined;
  #lostTimer: ReturnType<typeof setTimeout> | undefined;
  #isLive = false;
  /** The relay does not tell who is here. */
  #refused = false;
  /** The user is not seen, until the server has said since when he is here again. */
  #standsBy = false;

  constructor(config: PresenceConfig, ajaxIdentifier: string, on: VisitEvents) {
    this.#config = config;
    this.#ajaxIdentifier = ajaxIdentifier;
    this.#on = on;
    this.#token = config.token;
    const { url, grant, sessionEnded, stay } = config;
    const renewal = new Renewal();
    const member = { ajaxIdentifier, grant, sessionEnded };
    this.#providers = [renewal.provider(member), renewal.provider(member)] as const;
    this.#client = connect({ url, park: stay ? false : PARK_MINUTES });
    this.#client.onStatus(({ state, code }) => this.#status(state, code));
    this.#join();
    document.addEventListener("visibilitychange", () => this.#look(), {
      signal: this.#abort.signal,
    });
    this.#look();
  }

  /** Tells the others which rows are edited here. */
  edit(keys: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      apex.server.plugin(
        this.#ajaxIdentifier,
        { x01: "ROWS", f01: [String(this.#config.grant)], f02: keys },
        {
          dataType: "json",
          success: (data) => {
            const { token } = (data ?? {}) as { readonly token?: unknown };
            if (typeof token === "string" && !this.#abort.signal.aborted) {
              this.#token = token;
              if (!this.#standsBy) this.#join();
            }
            resolve();
          },
          error: (_jqXHR, textStatus, errorThrown) => {
            apex.debug.warn(
              "rtm: the others are not told of the edited rows:",
              textStatus,
              errorThrown,
            );
            resolve();
          },
        },
      );
    });
  }

  end(): void {
    this.#abort.abort();
    clearTimeout(this.#awayTimer);
    clearTimeout(this.#lostTimer);
    this.#client.close();
  }

  #options(provider: TokenOptions["renew"]): TokenOptions {
    return { initial: this.#token, renew: provider };
  }

  /** With the newest token; what it says of the user replaces what was said before. */
  #join(): void {
    const { channel, join } = this.#config;
    const before = this.#member;
    this.#member = this.#client.subscribe(channel, {
      events: EVENTS,
      from: "live",
      token: this.#options(this.#providers[0]),
      presence: { join, watch: true },
      onMembers: (_channel, all, count, { user }) => {
        // Beside the refusal the client says that nobody is seen any more.
        if (this.#refused && count === 0) return;
        this.#refused = false;
        this.#back();
        this.#on.onMembers(all, count, user);
      },
      onPresenceDenied: (_channel, code, message) => {
        apex.debug.error("rtm: presence refused:", channel, code, message);
        this.#refused = true;
        this.#isLive = false;
        this.#on.onRefused();
      },
      onSubscribed: () => this.#back(),
      onSuspended: () => this.#interrupted(),
      onDenied: (_channel, code, message) => {
        apex.debug.error("rtm: channel refused:", channel, code, message);
        this.#over(code);
      },
    });
    before?.close();
  }

  #look(): void {
    const { channel, join, away, settings } = this.#config;
    if (!away || this.#standsBy) return;
    clearTimeout(this.#awayTimer);
    if (document.visibilityState !== "visible") {
      const seconds = Number(settings.awaySeconds ?? AWAY_S) || 0;
      this.#awayTimer = setTimeout(() => {
        this.#looking?.close();
        this.#looking = undefined;
        this.#on.onLooking(undefined);
      }, seconds * 1_000);
      return;
    }
    this.#looking ??= this.#client.subscribe(channel + LOOKING, {
      events: EVENTS,
      from: "live",
      token: this.#options(this.#providers[1]),
      presence: { join, watch: true },
      onMembers: (_channel, all, count) =>
        this.#on.onLooking(all.length === count ? all.map(({ user }) => user) : undefined),
    });
  }

  #status(state: string, code?: string | number): void {
    if (state === "connected") {
      this.#back();
    } else if (state === "stopped") {
      this.#over(String(code));
    } else if (state === "parked" || state === "paused") {
      this.#over();
    } else if (state === "waiting" || state === "token") this.#interrupted();
  }

  #back(): void {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = undefined;
    if (this.#refused || this.#standsBy || this.#isLive) return;
    this.#isLive = true;
    this.#on.onState("live");
  }

  /** The relay is gone, or the token has ended. */
  #interrupted(): void {
    this.#isLive = false;
    this.#on.onState("offline");
    if (!this.#standsBy) this.#lostTimer ??= setTimeout(() => this.#lost(), LOST_MS);
  }

  /** Stands by without being seen: the server is asked for a new visit when the relay is there again. */
  #lost(): void {
    const before = [this.#member, this.#looking];
    this.#looking = undefined;
    this.#standsBy = true;
    this.#member = this.#client.subscribe(this.#config.channel, {
      events: EVENTS,
      from: "live",
      token: this.#options(this.#providers[0]),
      onSubscribed: () => this.#over(),
      onDenied: (_channel, code) => this.#over(code),
    });
    for (const subscription of before) subscription?.close();
  }

  #over(code?: string): void {
    // Not within the connection's own turn.
    queueMicrotask(() => {
      if (this.#abort.signal.aborted) return;
      this.end();
      this.#on.onEnd(code);
    });
  }
}

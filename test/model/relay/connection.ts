/** One connection of a page: what it was asked, and whether each frame that comes may come. */
import type { Duplex } from "node:stream";
import type { ControlItem } from "../../../relay/contract/control.ts";
import { type Carrier, connect, type Frame, type Link } from "./carriers.ts";
import { now } from "./clock.ts";
import { concerns, type ModelToken } from "./model-rights.ts";
import { TYPING } from "./model-talk.ts";
import type { Page, Wish } from "./page.ts";
import { type Answer, type Ask, Place } from "./place.ts";
import { type Kind, ROOM, type World } from "./world.ts";

/** How long a poll waits, ms. */
const POLL_MS = 120;
/** Close codes: where a new token is needed, where nothing is, and while a relay stops. */
const TOKEN_REVOKED = 4103;
const DISCONNECTED = 4007;
const ENDED = 4207;
const GOING_AWAY = 4000;

export class Connection {
  readonly carrier: Carrier;
  connected = false;
  /** Numbers of the events of others that came. */
  readonly heard = new Set<number>();
  readonly #world: World;
  readonly #page: Page;
  readonly #onEnd: () => void;
  readonly #order: number;
  /** All that it has shown, and of them those that were taken and those that are not answered yet. */
  readonly #tokens: ModelToken[];
  readonly #taken: ModelToken[] = [];
  readonly #shown: ModelToken[];
  readonly #asks: Ask[] = [];
  /** Filters of the channels that are read. */
  readonly #reading = new Map<string, ReadonlySet<string> | undefined>();
  #link: Link | undefined;
  #over = false;
  #messages = 0;

  constructor(world: World, page: Page, onEnd: () => void) {
    this.#world = world;
    this.#page = page;
    this.#onEnd = onEnd;
    this.#order = world.order;
    this.carrier = page.carrier;
    this.#tokens = [...page.tokens];
    this.#shown = [...page.tokens];
  }

  open(end: Duplex): void {
    const subscribe = [...this.#page.wishes.keys()].map((channel) => this.#ask(channel));
    const texts = this.#tokens.map(({ text }) => text);
    const ask = {
      ...(texts.length === 1 ? { token: texts[0] } : { tokens: texts }),
      ...(this.carrier === "poll" ? { waitMs: POLL_MS } : {}),
      subscribe,
    };
    this.#link = connect(this.carrier, end, ask, {
      frame: (frame) => this.#frame(frame),
      end: (code) => this.#ended(code),
    });
  }

  /** Without a word. */
  cut(): void {
    this.#over = true;
    this.#link?.cut();
  }

  /** Subscribes to a channel (again). @param forget whether without saying where it stands */
  subscribe(channel: string, forget: boolean): void {
    this.#link?.send({ op: "subscribe", subscribe: [this.#ask(channel, forget)] });
  }

  refresh(token: ModelToken): void {
    this.#tokens.push(token);
    this.#shown.push(token);
    this.#link?.send({ op: "refresh", token: token.text });
  }

  /** Sends an event to the others in the room. @returns its number */
  type(): number {
    const { talk, order } = this.#world;
    const { n } = talk.say(this, order);
    this.#link?.send({ op: "publish", channel: ROOM, eventName: TYPING, payload: n, ref: `${n}` });
    return n;
  }

  /** Whether it gets an event of somebody else that is sent now. */
  hears(event: string): boolean {
    const filter = this.#reading.get(ROOM);
    return this.carrier !== "poll" && this.#reading.has(ROOM) && (filter?.has(event) ?? true);
  }

  /** Whether what was answered by now leaves it nothing. */
  mustEnd(item: ControlItem): boolean {
    if (item.op !== "disconnect")
      return this.#tokens.every((token) => this.#world.rights.isOver(token));
    // By one of several tokens that counts no more nobody is meant.
    return this.#tokens.length === 1 && concerns(item, this.#tokens[0] as ModelToken);
  }

  #ask(channel: string, forget = false): object {
    const { events, first } = this.#page.wishes.get(channel) as Wish;
    const { log, order, fault } = this.#world;
    const position = this.#page.places.get(channel)?.position;
    let since = position ?? first;
    if (position && first && "last" in first) since = { ...position, last: first.last };
    if (forget) since = undefined;
    this.#asks.push({
      channel,
      since,
      events: events && new Set(events),
      sentAt: now(),
      order,
      epoch: log.epoch,
      head: log.head(channel),
    });
    const watch = this.carrier !== "poll";
    const join = this.#page.joins && fault !== "unseen";
    return {
      channel,
      ...(since ? { since: fault === "short age" && "ageMs" in since ? { ageMs: 0 } : since } : {}),
      ...(events && fault !== "no filter" ? { events } : {}),
      ...(channel === ROOM ? { presence: { join, watch } } : {}),
    };
  }

  #report(kind: Kind, what: string): void {
    this.#world.report(kind, `${this.#page.name} (${this.carrier}): ${what}`);
  }

  #ended(code: number | undefined): void {
    if (this.#over) return;
    this.#over = true;
    const { rights } = this.#world;
    if (code === DISCONNECTED || code === ENDED) {
      if (!rights.sentAway(this.#tokens, this.#order))
        this.#report("withheld", `closed with ${code}`);
      if (code === ENDED) this.#page.away = true;
    } else if (code === TOKEN_REVOKED) {
      this.#page.needsToken = true;
      if (rights.must(this.connected ? this.#taken : this.#tokens.slice(0, 1))) {
        this.#report("withheld", "closed as revoked");
      }
    } else if (code !== undefined && code !== GOING_AWAY)
      this.#report("protocol", `closed with ${code}`);
    this.#onEnd();
  }

  #frame(given: Frame): void {
    if (this.#over) return;
    const { fault } = this.#world;
    const isMessage = given.op === undefined;
    if (isMessage) this.#messages++;
    const faulty = isMessage && this.#messages % 5 === 0;
    if (faulty && fault === "lost message") return;
    if (given.op === "event" && fault === "lost event") return;
    if (faulty && fault === "repeated message") this.#take(given);
    this.#take(given);
  }

  #take(frame: Frame): void {
    const channel = frame.channel as string;
    switch (frame.op) {
      case "connected":
        this.connected = true;
        this.#taken.push(...this.#shown.splice(0, 1));
        return;
      case "refreshed":
        this.#taken.push(...this.#shown.splice(0, 1));
        return;
      case "ping":
        return;
      case "subscribed":
        this.#subscribed(channel, frame as unknown as Answer);
        return;
      case "unsubscribed":
        this.#reading.delete(channel);
        this.#lost(channel, "unsubscribed");
        return;
      case "error":
        this.#error(frame);
        return;
      case "position":
        this.#page.places.get(channel)?.moved(frame.seq as number);
        return;
      case "members":
      case "presence": {
        const problem = this.#page.members.take(frame);
        if (problem !== undefined) this.#report("members", problem);
        return;
      }
      case "published":
        if (!this.#mayType(Number(frame.ref))) this.#report("revoked", `event ${frame.ref}`);
        return;
      case "event":
        this.#event(channel, frame);
        return;
      case undefined:
        this.#message(channel, frame);
        return;
      default:
        this.#report("protocol", JSON.stringify(frame));
    }
  }

  #subscribed(channel: string, answer: Answer): void {
    const { places, name } = this.#page;
    const ask = this.#asks.shift();
    if (ask?.channel !== channel) {
      this.#report("protocol", `${channel} was not asked for`);
      return;
    }
    if (!this.#may(channel, ask.order)) {
      this.#report("revoked", `${channel} was subscribed without a right`);
    }
    const place =
      places.get(channel) ?? new Place(this.#world, channel, `${name} (${this.carrier})`);
    places.set(channel, place);
    place.subscribed(ask, answer, this.#reading.has(channel));
    this.#reading.set(channel, ask.events);
  }

  /** Whether one of its tokens may still have given the channel at `order`. */
  #may(channel: string, order: number): boolean {
    return this.#tokens.some((token) => this.#world.rights.may(token, channel, order));
  }

  #mayType(n: number): boolean {
    const said = this.#world.talk.of(n);
    return said?.by === this && this.#may(ROOM, said.order);
  }

  /** A right has ended, or is not there. */
  #lost(channel: string, what: string): void {
    this.#page.needsToken = true;
    if (this.#world.rights.must(this.#taken, channel)) {
      this.#report("withheld", `${channel} ${what} with a right`);
    }
  }

  #error(frame: Frame): void {
    const { code, channel } = frame as { code?: string; channel?: string };
    const { rights } = this.#world;
    this.#page.needsToken = true;
    if (code === "channel_forbidden") {
      if (this.#asks.shift()?.channel !== channel) this.#report("protocol", `${channel} refused`);
      this.#lost(channel as string, "refused");
    } else if (code === "publish_forbidden") {
      this.#lost(channel as string, "publishing refused");
    } else if (code === "token_revoked") {
      const [refused] = this.#shown.splice(0, 1);
      if (!refused || rights.must([refused])) this.#report("withheld", "a token was refused");
    } else if (code === "presence_forbidden") {
      if (this.#taken.every((token) => rights.must([token]) && rights.must([token], ROOM))) {
        this.#report("withheld", `${code} with all rights: ${frame.message}`);
      }
    } else this.#report("protocol", JSON.stringify(frame));
  }

  #message(channel: string, frame: Frame): void {
    const place = this.#page.places.get(channel);
    if (!place || !this.#reading.has(channel)) {
      this.#report("protocol", `a message of ${channel}, which is not subscribed`);
      return;
    }
    const accepted = place.message(frame as never);
    if (accepted && !this.#may(channel, accepted.order)) {
      this.#report("revoked", `${channel} ${accepted.seq} came after the right had ended`);
    }
  }

  #event(channel: string, { eventName, payload }: Frame): void {
    const said = this.#world.talk.of(payload);
    const wrong = (what: string) => this.#report("event", `${payload} of ${channel}: ${what}`);
    if (!said || channel !== ROOM || eventName !== TYPING) wrong("nobody sent it");
    else if (said.by === this) wrong("came back to its sender");
    else if (!this.hears(TYPING)) wrong("not wanted");
    else if (this.heard.has(said.n)) wrong("came twice");
    else if (!this.#may(ROOM, said.order)) this.#report("revoked", `event ${said.n}`);
    this.heard.add(payload as number);
  }
}

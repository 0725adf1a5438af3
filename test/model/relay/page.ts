/** A page: what it wants, where it stands, and which connection it has for it now. */
import type { ControlItem } from "../../../relay/contract/control.ts";
import type { Carrier } from "./carriers.ts";
import { Connection } from "./connection.ts";
import { Members } from "./members.ts";
import type { ModelToken } from "./model-rights.ts";
import type { Place, Since } from "./place.ts";
import type { World } from "./world.ts";

/** Before it connects again, ms; after a refusal. */
const PAUSE_MS = 3;
const REFUSED_PAUSE_MS = 20;

export interface Wish {
  events: readonly string[] | undefined;
  /** How it begins while it has no position. */
  first: Since;
}

export class Page {
  readonly name: string;
  readonly user: string;
  carrier: Carrier;
  tokens: ModelToken[] = [];
  readonly wishes = new Map<string, Wish>();
  places = new Map<string, Place>();
  readonly members = new Members();
  /** Whether it wants to be seen. */
  joins = true;
  /** It was closed, or told to stay away. */
  away = false;
  /** Something was refused for its tokens. */
  needsToken = false;
  readonly #world: World;
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(world: World, name: string, user: string, carrier: Carrier) {
    this.#world = world;
    this.name = name;
    this.user = user;
    this.carrier = carrier;
  }

  /** It forgets where it was. */
  load(): void {
    this.places = new Map();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#connection?.cut();
    this.#connection = undefined;
  }

  /** Connects, after it has left where it was. */
  connect(): void {
    this.close();
    if (this.away) return;
    const { door } = this.#world;
    if (!door) {
      this.#later();
      return;
    }
    this.members.reconnected();
    this.#connection = new Connection(this.#world, this, () => this.#ended());
    this.#connection.open(door());
  }

  #ended(): void {
    this.#connection = undefined;
    if (!this.away) this.#later();
  }

  #later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), this.needsToken ? REFUSED_PAUSE_MS : PAUSE_MS);
  }

  /** The connection that can be asked more. */
  get asked(): Connection | undefined {
    const connection = this.#connection;
    return connection?.connected && connection.carrier === "websocket" ? connection : undefined;
  }

  /** Asked before the relay is: tells afterwards whether a connection is still there that has to go. */
  outstays(item: ControlItem): () => boolean {
    const connection = this.#connection;
    if (!connection?.connected || connection.carrier === "poll") return () => false;
    return () => connection === this.#connection && connection.mustEnd(item);
  }

  /** Whether it has all that it wants and may have. */
  get isComplete(): boolean {
    return [...this.wishes.keys()].every((channel) => this.places.get(channel)?.isComplete);
  }

  /** Whether it knows that nothing newer was published anywhere. */
  get isAtHead(): boolean {
    return [...this.wishes.keys()].every((channel) => this.places.get(channel)?.isAtHead);
  }

  /** Whether it gets an event that another one sends now. */
  hears(event: string): boolean {
    return this.#connection?.hears(event) ?? false;
  }

  /** Numbers of the events that its connection got. */
  get heard(): ReadonlySet<number> {
    return this.#connection?.heard ?? new Set();
  }

  get isSeen(): boolean {
    return !this.away && this.joins;
  }
}

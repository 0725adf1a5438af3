/** Whom a page sees in one channel, from the relay's frames. Pure but for the timer that ends settling. */
import type { MembersFrame, PresenceFrame } from "../../relay/contract/protocol.ts";
import type { Listener, Member, MembersChange } from "./listener.ts";

/** The channel that is watched. */
interface Watched {
  readonly name: string;
  readonly listeners: Iterable<Listener>;
  /** Under which id the page's user is seen there. */
  user: string | undefined;
}

const NOTHING: MembersChange = { joined: [], left: [] };

export class Members {
  /** Undefined before the first list, and while only the number is told. */
  #known: Map<string, Member> | undefined;
  #count: number | undefined;
  /** A list that comes in several frames. */
  #parts: Map<string, Member> | undefined;
  /** Who was known before a list that may be incomplete, and was not named since. */
  #unsettled: Map<string, Member> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #channel: Watched;
  readonly #guard: (task: () => void) => void;
  /** Who has been told of all. */
  readonly #told = new WeakSet<Listener>();

  /** @param guard runs what must not keep the other listeners from being told */
  constructor(channel: Watched, guard: (task: () => void) => void) {
    this.#channel = channel;
    this.#guard = guard;
  }

  /** Empty where only the number is known. */
  get all(): readonly Member[] {
    return [...(this.#known?.values() ?? []), ...(this.#unsettled?.values() ?? [])];
  }

  get count(): number {
    return this.#known ? this.#known.size + (this.#unsettled?.size ?? 0) : (this.#count ?? 0);
  }

  /** A newcomer among listeners that know who is there: no list may come for it alone. */
  welcome(listener: Listener): void {
    if (!this.#told.has(listener)) this.#tell(listener, NOTHING);
  }

  #onChange(change: MembersChange): void {
    for (const listener of this.#channel.listeners) this.#tell(listener, change);
  }

  /** Who has been told nothing yet is told of all. */
  #tell(listener: Listener, change: MembersChange): void {
    if (!listener.presence.watch || this.#count === undefined) return;
    const { all, count } = this;
    const { name, user } = this.#channel;
    const told = this.#told.has(listener) ? change : { joined: all, left: [] };
    this.#told.add(listener);
    this.#guard(() => listener.on.onMembers?.(name, all, count, { ...told, user }));
  }

  take(frame: MembersFrame | PresenceFrame): void {
    if (frame.op === "members") this.#list(frame);
    else if ("listed" in frame) this.#tooMany(frame.count);
    else this.#change(frame);
  }

  /** The relay does not allow it: nobody is seen any more. */
  refuse(code: string, message: string): void {
    const { listeners, name } = this.#channel;
    for (const { presence, on } of listeners) {
      if (!presence.join && !presence.watch) continue;
      this.#guard(() => on.onPresenceDenied?.(name, code, message));
    }
    this.clear();
  }

  /** Nobody is seen any more. */
  clear(): void {
    if (this.#count === undefined) return;
    const left = this.all;
    this.stop();
    this.#known = new Map();
    this.#count = 0;
    this.#onChange({ joined: [], left });
  }

  /** Nobody asks any more. */
  forget(): void {
    this.stop();
    this.#known = undefined;
    this.#count = undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#unsettled = undefined;
    this.#parts = undefined;
  }

  #list({ members, more, count, settleMs = 0 }: MembersFrame): void {
    this.#parts ??= new Map();
    for (const member of members) this.#parts.set(member.user, member);
    if (more) return;
    const list = this.#parts;
    const before = new Map(this.all.map((member) => [member.user, member]));
    this.stop();
    this.#known = list;
    this.#count = count;
    const joined = [...list.values()].filter((member) => isNews(member, before.get(member.user)));
    const missing = [...before.values()].filter(({ user }) => !list.has(user));
    if (settleMs > 0 && missing.length > 0) {
      this.#unsettled = new Map(missing.map((member) => [member.user, member]));
      this.#timer = setTimeout(() => this.#settled(), settleMs);
    }
    this.#onChange({ joined, left: this.#unsettled ? [] : missing });
  }

  #settled(): void {
    const left = [...(this.#unsettled?.values() ?? [])];
    this.#unsettled = undefined;
    if (left.length > 0) this.#onChange({ joined: [], left });
  }

  #change(frame: Extract<PresenceFrame, { left: unknown }>): void {
    // Changes follow a list; whatever else comes is none of ours.
    if (!this.#known) return;
    const left: Member[] = [];
    for (const user of frame.left) {
      const member = this.#known.get(user) ?? this.#unsettled?.get(user);
      this.#known.delete(user);
      this.#unsettled?.delete(user);
      if (member) left.push(member);
    }
    const joined = frame.joined.filter((member) => {
      const before = this.#known?.get(member.user) ?? this.#unsettled?.get(member.user);
      this.#unsettled?.delete(member.user);
      this.#known?.set(member.user, member);
      return isNews(member, before);
    });
    this.#count = frame.count;
    if (left.length + joined.length > 0) this.#onChange({ joined, left });
  }

  #tooMany(count: number): void {
    this.stop();
    this.#known = undefined;
    this.#count = count;
    this.#onChange(NOTHING);
  }
}

/** Whether it was not there, or shows something else than before. */
function isNews(member: Member, before: Member | undefined): boolean {
  return !before || JSON.stringify(member.info) !== JSON.stringify(before.info);
}

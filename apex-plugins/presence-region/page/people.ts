/**
 * Who is in the channel, from what the relay tells of its members. Everything that a member shows of
 * itself was written by the server of its page, but may be anything all the same. Pure.
 */
import type { Member } from "../../client/listener.ts";

export interface Person {
  readonly user: string;
  readonly name: string;
  /** The address of a picture, not checked. */
  readonly image: string | undefined;
  /** Of the visit, s since 1970. */
  readonly since: number | undefined;
  /** Whether the record is edited, not only looked at. */
  readonly edits: boolean;
  /** Keys of the rows that are edited, each since when. */
  readonly rows: ReadonlyMap<string, number>;
}

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
const time = (value: unknown) =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined;

export function personOf({ user, info = {} }: Member): Person {
  const rows = new Map<string, number>();
  if (typeof info.rows === "object" && info.rows !== null) {
    for (const [key, since] of Object.entries(info.rows)) {
      if (time(since) !== undefined) rows.set(key, since as number);
    }
  }
  return {
    user,
    name: text(info.name) ?? user,
    image: text(info.image),
    since: time(info.since),
    edits: info.edits === true,
    rows,
  };
}

/** The first letters of the first and the last word. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const first = [...(words[0] ?? "?")];
  const last = words.length > 1 ? [...words.at(-1)!] : [];
  return `${first[0]}${last[0] ?? first[1] ?? ""}`.toUpperCase();
}

/** A number from 1 to `most`, the same for the same user on every page. */
export function colour(user: string, most: number): number {
  let hash = 0;
  for (const unit of user) hash = (hash * 31 + unit.codePointAt(0)!) % 65_521;
  return 1 + (hash % most);
}

/** Whoever came first, and of those the first by name: the same order in every page. */
function earlier(a: Person, b: Person): number {
  const [first, second] = [
    a.since ?? Number.POSITIVE_INFINITY,
    b.since ?? Number.POSITIVE_INFINITY,
  ];
  if (first !== second) return first < second ? -1 : 1;
  return a.user < b.user ? -1 : 1;
}

export interface Comings {
  readonly joined: readonly Person[];
  readonly left: readonly Person[];
}

export class People {
  readonly #people = new Map<string, Person>();
  /** Those whose page is seen; undefined where that is not told. */
  #looking: ReadonlySet<string> | undefined;
  #known = false;
  #count = 0;
  /** Under which id the page's own user is seen. */
  me: string | undefined;

  /** All of them, and how many: more than are listed, where there are too many. */
  get count(): number {
    return this.#count;
  }

  /** Whether it has been told who is there. */
  get known(): boolean {
    return this.#known;
  }

  /** In the order in which they came. */
  get all(): readonly Person[] {
    return [...this.#people.values()].sort(earlier);
  }

  get others(): readonly Person[] {
    return this.all.filter(({ user }) => user !== this.me);
  }

  isAway({ user }: Person): boolean {
    return this.#looking !== undefined && !this.#looking.has(user);
  }

  /** Somebody else who edits the record and came before the page's user, where he edits it. */
  get holder(): Person | undefined {
    const first = this.all.find(({ edits }) => edits);
    return first?.user === this.me ? undefined : first;
  }

  /** Who came and left; the first list is who was there. */
  take(members: readonly Member[], count: number): Comings {
    const now = new Map(members.map((member) => [member.user, personOf(member)]));
    // Too many to be listed: nobody has left.
    const listed = members.length > 0 || count === 0;
    const left = listed ? [...this.#people.values()].filter(({ user }) => !now.has(user)) : [];
    const joined = [...now.values()].filter(({ user }) => !this.#people.has(user));
    const first = !this.#known;
    this.#known = true;
    this.#people.clear();
    for (const [user, person] of now) this.#people.set(user, person);
    this.#count = count;
    return first ? { joined: [], left: [] } : { joined, left };
  }

  takeLooking(users: Iterable<string> | undefined): void {
    this.#looking = users && new Set(users);
  }

  /** A new visit: whoever is there then has not come. */
  forget(): void {
    this.#people.clear();
    this.#looking = undefined;
    this.#known = false;
    this.#count = 0;
  }
}

/**
 * Who is where, as all nodes agree: what each of them said of its own connections, added up. It follows
 * the log's tables `node` and `here`, and nothing else changes it.
 */
import type { Fact } from "../log/fact.ts";
import { decodeHere, type Here, type Member, splitKey } from "./member.ts";

interface Saying extends Here {
  readonly owner: string;
}

/** What each node says of one user; nearly always one does. */
type Sayings = readonly Saying[];

/** Called before a user of a channel changes; `before` is undefined when it was not there. */
export type OnChange = (channel: string, user: string, before: Member | undefined) => void;

export class Roster {
  readonly #onChange: OnChange;
  /** What each node that is there said, by key. */
  readonly #nodes = new Map<string, Set<string>>();
  readonly #channels = new Map<string, Map<string, Sayings>>();
  #size = 0;

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  /** Users in all channels together. */
  get size(): number {
    return this.#size;
  }

  /** Channels in which somebody is. */
  get channels(): IterableIterator<string> {
    return this.#channels.keys();
  }

  /** Nodes that are there, whether they said anything or not. */
  get nodes(): IterableIterator<string> {
    return this.#nodes.keys();
  }

  hasNode(id: string): boolean {
    return this.#nodes.has(id);
  }

  /** Users in the channel. */
  count(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  get(channel: string, user: string): Member | undefined {
    const said = this.#channels.get(channel)?.get(user);
    return said && memberOf(user, said);
  }

  /** In the order in which they came. */
  *members(channel: string): Generator<Member> {
    for (const [user, said] of this.#channels.get(channel) ?? []) yield memberOf(user, said);
  }

  /** Nothing is known any more; nobody is told of it by `onChange`. */
  clear(): void {
    this.#nodes.clear();
    this.#channels.clear();
    this.#size = 0;
  }

  /** A fact of `node` or `here`, in the order of the log. */
  apply({ table, owner, key, value }: Fact): void {
    if (table === "here") this.#here(owner as string, key, value);
    else if (value === null) this.#gone(key);
    else if (!this.#nodes.has(key)) this.#nodes.set(key, new Set());
  }

  #here(owner: string, key: string, value: string | null): void {
    const keys = this.#nodes.get(owner);
    // The log refuses what a node says that was declared gone.
    if (!keys) return;
    const here = value === null ? undefined : decodeHere(value);
    if (here) keys.add(key);
    else keys.delete(key);
    this.#put(key, owner, here);
  }

  #gone(node: string): void {
    const keys = this.#nodes.get(node);
    this.#nodes.delete(node);
    for (const key of keys ?? []) this.#put(key, node, undefined);
  }

  #put(key: string, owner: string, here: Here | undefined): void {
    const { channel, user } = splitKey(key);
    const users = this.#channels.get(channel);
    const before = users?.get(user);
    const others = before?.filter((each) => each.owner !== owner) ?? [];
    const after = here ? [...others, { ...here, owner }] : others;
    if (!before && after.length === 0) return;
    this.#onChange(channel, user, before && memberOf(user, before));
    if (after.length > 0) {
      if (users) users.set(user, after);
      else this.#channels.set(channel, new Map([[user, after]]));
      if (!before) this.#size++;
      return;
    }
    this.#size--;
    users?.delete(user);
    if (users?.size === 0) this.#channels.delete(channel);
  }
}

/** The same on every node, whatever it heard first. */
function memberOf(user: string, said: Sayings): Member {
  let last = said[0] as Saying;
  let connections = 0;
  let sinceMs = Number.POSITIVE_INFINITY;
  for (const each of said) {
    connections += each.n;
    sinceMs = Math.min(sinceMs, each.sinceMs);
    const isLater =
      each.infoAt > last.infoAt || (each.infoAt === last.infoAt && each.owner > last.owner);
    if (isLater) last = each;
  }
  return { user, connections, info: last.info, sinceMs };
}

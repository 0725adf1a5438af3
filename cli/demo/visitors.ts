/**
 * The demo's users: whoever opens the page is one, under a made-up name. In an application the login
 * stands in this place.
 */
import { randomUUID } from "node:crypto";

const NAMES = ["Ada", "Grace", "Edgar", "Barbara", "Alan", "Radia", "Donald", "Margaret"];
/** Longest name, characters. */
const MAX_NAME = 40;
/** Visitors that are remembered; who was away longest goes first. */
const MOST = 1000;

export interface Visitor {
  /** Known to the visitor's tab only. */
  readonly pass: string;
  /** Under which the others see it. */
  readonly user: string;
  name: string;
  /** Signed out, for good. */
  ended: boolean;
}

/** `name` as it is shown: one line, not longer than fits; empty when nothing is left. */
function cleaned(name: string): string {
  const line = Buffer.from(name)
    .toString()
    .replace(/\p{Cc}/gu, " ");
  return [...line.trim()].slice(0, MAX_NAME).join("").trim();
}

export class Visitors {
  readonly #byPass = new Map<string, Visitor>();
  #count = 0;

  /**
   * The visitor with the pass, or a new one where nobody has it.
   * @param name what it wants to be called from now on
   */
  enter({ pass, name }: { readonly pass?: unknown; readonly name?: unknown }): Visitor {
    const known = typeof pass === "string" ? this.#byPass.get(pass) : undefined;
    const visitor = known ?? this.#newcomer();
    this.#byPass.delete(visitor.pass);
    this.#byPass.set(visitor.pass, visitor);
    if (this.#byPass.size > MOST) this.#byPass.delete(this.#byPass.keys().next().value!);
    if (typeof name === "string" && !visitor.ended) visitor.name = cleaned(name) || visitor.name;
    return visitor;
  }

  #newcomer(): Visitor {
    const number = ++this.#count;
    const taken = new Set([...this.#byPass.values()].map(({ name }) => name));
    const name = NAMES.find((each) => !taken.has(each)) ?? `Visitor ${number}`;
    return { pass: randomUUID(), user: `visitor-${number}`, name, ended: false };
  }

  /** It gets no further token. Returns whether there is one with this id. */
  signOut(user: string): boolean {
    for (const visitor of this.#byPass.values()) {
      if (visitor.user !== user) continue;
      visitor.ended = true;
      return true;
    }
    return false;
  }
}

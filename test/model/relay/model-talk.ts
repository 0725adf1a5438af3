/** What pages send each other: events that nobody keeps. */

export const TYPING = "client:typing";

/** An event that a page sent. */
export interface Said {
  readonly n: number;
  /** Whose it is: one connection. */
  readonly by: object;
  /** Its place among everything that was published and controlled. */
  readonly order: number;
}

export class ModelTalk {
  readonly #said = new Map<number, Said>();

  say(by: object, order: number): Said {
    const said = { n: this.#said.size + 1, by, order };
    this.#said.set(said.n, said);
    return said;
  }

  /** @param n payload of an event */
  of(n: unknown): Said | undefined {
    return this.#said.get(n as number);
  }
}

/**
 * What this process knows of the engine's history: how far its follower is, and what the engine has
 * acknowledged to its appender. Whoever attaches names both as witnesses, so an engine that has lost
 * or exchanged something is found out by any process that saw it. Pure.
 */

/** An entry by its place and its random token. */
export interface Mark {
  readonly epoch: string;
  readonly n: number;
  readonly token: string;
}

/** Acknowledged entries that the follower has not read yet; beyond it the oldest are not checked. */
const MAX_ACKNOWLEDGED = 1000;

export class Knowledge {
  /** The highest generation that any connection has seen; an older one is never followed. */
  generation = 0;
  #cursor: Mark = { epoch: "", n: 0, token: "" };
  #acknowledged: Mark[] = [];
  /** The time, ms since 1970. */
  readonly time: () => number;

  /** @param time as this node knows it */
  constructor(time: () => number = Date.now) {
    this.time = time;
  }

  /** The last entry that the follower has applied. */
  get cursor(): Mark {
    return this.#cursor;
  }

  /** A connection has seen this generation. */
  sawGeneration(generation: number): void {
    this.generation = Math.max(this.generation, generation);
  }

  /** The follower begins anew behind this entry. */
  restart(cursor: Mark): void {
    this.#cursor = cursor;
    this.#acknowledged = this.#acknowledged.filter(
      ({ epoch, n }) => epoch === cursor.epoch && n > cursor.n,
    );
  }

  /** The engine has taken this entry of ours; it must come back as it is. */
  acknowledged(mark: Mark): void {
    if (mark.epoch === this.#cursor.epoch && mark.n <= this.#cursor.n) return;
    this.#acknowledged.push(mark);
    if (this.#acknowledged.length > MAX_ACKNOWLEDGED) this.#acknowledged.shift();
  }

  /**
   * The follower has come to the next entry. False when the engine had acknowledged another one in
   * its place: then nothing of it may be applied.
   */
  advance(n: number, token: string): boolean {
    const { epoch } = this.#cursor;
    if (
      this.#acknowledged.some(
        (mark) => mark.epoch === epoch && mark.n === n && mark.token !== token,
      )
    ) {
      return false;
    }
    this.#cursor = { epoch, n, token };
    if (this.#acknowledged.length > 0) {
      this.#acknowledged = this.#acknowledged.filter((mark) => mark.epoch !== epoch || mark.n > n);
    }
    return true;
  }

  /** What an attach is checked against: the cursor, and the newest acknowledged entry. */
  get witnesses(): readonly Mark[] {
    const newest = this.#acknowledged.at(-1);
    return newest ? [this.#cursor, newest] : [this.#cursor];
  }
}

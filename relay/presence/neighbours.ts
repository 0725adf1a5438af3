/**
 * Tells which other nodes are dead: those of which nothing was heard for a while in which this node
 * itself heard all that was said. A node that only slept finds out when it speaks again.
 */

/** How often a node says that it lives, ms. */
export const BEAT_MS = 2000;
/** A node that is not heard for longer is dead, ms. */
export const GONE_MS = 10_000;

export interface NeighbourTimes {
  readonly beatMs: number;
  readonly goneMs: number;
}

export const TIMES: NeighbourTimes = { beatMs: BEAT_MS, goneMs: GONE_MS };

export class Neighbours {
  readonly #times: NeighbourTimes;
  /**
   * For how long each was silent, as far as this node was awake, ms. Undefined: it was heard after the last
   * look, and silence is counted from the next.
   */
  readonly #silence = new Map<string, number | undefined>();
  #lookedAt: number | undefined;

  constructor(times: NeighbourTimes) {
    this.#times = times;
  }

  /** The node has said something. */
  heard(id: string): void {
    this.#silence.set(id, undefined);
  }

  /** The node is declared gone. */
  gone(id: string): void {
    this.#silence.delete(id);
  }

  /** Nothing can be said of the time before. */
  reset(ids: Iterable<string>): void {
    this.#silence.clear();
    for (const id of ids) this.#silence.set(id, 0);
    this.#lookedAt = undefined;
  }

  /**
   * Who was not heard for too long; called once in each `beatMs` while the log is heard.
   * @param now ms of the monotonic clock
   */
  silent(now: number, self: string | undefined): readonly string[] {
    // In a pause of this process others spoke, and it has not read that yet.
    const most = 2 * this.#times.beatMs;
    const passed = this.#lookedAt === undefined ? 0 : Math.min(now - this.#lookedAt, most);
    this.#lookedAt = now;
    const found: string[] = [];
    for (const [id, before] of this.#silence) {
      if (id === self) continue;
      const silence = before === undefined ? 0 : before + passed;
      this.#silence.set(id, silence);
      if (silence > this.#times.goneMs) found.push(id);
    }
    return found;
  }

  /** Whether nothing was heard of it since it was found silent. */
  isSilent(id: string): boolean {
    return (this.#silence.get(id) ?? 0) > this.#times.goneMs;
  }
}

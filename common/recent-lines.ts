/** The last lines of the log that somebody should look at, kept in memory. */

/** A line that is longer is not kept whole, characters. */
const MOST_CHARACTERS = 4096;

/** Of pino's numbers for levels. */
const WARN = 40;

export interface RecentLine {
  /** Counts up from 1, so that a reader knows what it has seen. */
  readonly number: number;
  /** As it was written: JSON, with secrets and payloads already taken out. */
  readonly text: string;
}

/** A ring of lines. */
export class RecentLines {
  readonly #most: number;
  #lines: RecentLine[] = [];
  #count = 0;

  constructor(most = 200) {
    this.#most = most;
  }

  /** How many lines there ever were. */
  get count(): number {
    return this.#count;
  }

  /** @param level pino's number; lines below a warning are not kept */
  add(level: number, line: string): void {
    if (level < WARN) return;
    const text = line.slice(0, MOST_CHARACTERS).trimEnd();
    this.#lines.push({ number: ++this.#count, text });
    // Halved now and then instead of shifted each time.
    if (this.#lines.length >= 2 * this.#most) this.#lines = this.#lines.slice(-this.#most);
  }

  /** Lines above `number`, oldest first. */
  since(number: number): readonly RecentLine[] {
    return this.#lines.slice(-this.#most).filter((line) => line.number > number);
  }
}

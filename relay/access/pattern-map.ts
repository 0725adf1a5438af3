/** Values under channel patterns, found by a channel's name. */
import type { ChannelPattern } from "../contract/patterns.ts";

/** What a lookup costs grows with the length of the channel's name, not with the number of patterns. */
export class PatternMap<V> {
  readonly #values = new Map<ChannelPattern, V>();
  /** Patterns that are prefixes. */
  #prefixes = 0;

  get size(): number {
    return this.#values.size;
  }

  /** The value under exactly this pattern. */
  get(pattern: ChannelPattern): V | undefined {
    return this.#values.get(pattern);
  }

  set(pattern: ChannelPattern, value: V): void {
    if (pattern.endsWith("*") && !this.#values.has(pattern)) this.#prefixes++;
    this.#values.set(pattern, value);
  }

  delete(pattern: ChannelPattern): void {
    if (this.#values.delete(pattern) && pattern.endsWith("*")) this.#prefixes--;
  }

  entries(): IterableIterator<[ChannelPattern, V]> {
    return this.#values.entries();
  }

  /** Whether `test` holds for the value of a pattern that matches `channel`. */
  some(channel: string, test: (value: V) => boolean): boolean {
    const exact = this.#values.get(channel);
    if (exact !== undefined && test(exact)) return true;
    if (this.#prefixes === 0) return false;
    for (let length = 0; length <= channel.length; length++) {
      // No name contains *, so this is the pattern of a prefix and of nothing else.
      const value = this.#values.get(`${channel.slice(0, length)}*`);
      if (value !== undefined && test(value)) return true;
    }
    return false;
  }
}

/** A fixed set of patterns, such as the public channels of a configuration. */
export class PatternSet {
  readonly #map = new PatternMap<true>();

  constructor(patterns: Iterable<ChannelPattern>) {
    for (const pattern of patterns) this.#map.set(pattern, true);
  }

  /** Whether a pattern matches the channel. */
  has(channel: string): boolean {
    return this.#map.some(channel, () => true);
  }
}

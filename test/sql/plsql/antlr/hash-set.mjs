// Stands in for antlr4's misc/HashSet.js: same interface, buckets in a Map.
import { defaultEquals, defaultHash } from "./hash.mjs";

export default class HashSet {
  #buckets = new Map();
  #length = 0;

  constructor(hashFunction, equalsFunction) {
    this.hashFunction = hashFunction || defaultHash;
    this.equalsFunction = equalsFunction || defaultEquals;
  }

  /** The equal value that is there already, or the value itself, now added. */
  add(value) {
    const hash = this.hashFunction(value);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) {
      this.#buckets.set(hash, [value]);
    } else {
      const present = bucket.find((other) => this.equalsFunction(value, other));
      if (present !== undefined) return present;
      bucket.push(value);
    }
    this.#length++;
    return value;
  }

  get(value) {
    const bucket = this.#buckets.get(this.hashFunction(value));
    return bucket?.find((other) => this.equalsFunction(value, other)) ?? null;
  }

  has(value) {
    return this.get(value) !== null;
  }

  values() {
    return [...this.#buckets.values()].flat();
  }

  get length() {
    return this.#length;
  }
}

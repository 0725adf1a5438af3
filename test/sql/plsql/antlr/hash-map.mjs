// Stands in for antlr4's misc/HashMap.js: same interface, buckets in a Map.
import { defaultEquals, defaultHash } from "./hash.mjs";

export default class HashMap {
  #buckets = new Map();
  #length = 0;

  // Assigned again by some of antlr4's code after construction.
  constructor(hashFunction, equalsFunction) {
    this.hashFunction = hashFunction || defaultHash;
    this.equalsFunction = equalsFunction || defaultEquals;
  }

  #find(key) {
    const bucket = this.#buckets.get(this.hashFunction(key));
    return bucket?.find((entry) => this.equalsFunction(key, entry.key));
  }

  /** The value that was there before, or the new one. */
  set(key, value) {
    const entry = this.#find(key);
    if (entry !== undefined) {
      const before = entry.value;
      entry.value = value;
      return before;
    }
    const hash = this.hashFunction(key);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [{ key, value }]);
    else bucket.push({ key, value });
    this.#length++;
    return value;
  }

  containsKey(key) {
    return this.#find(key) !== undefined;
  }

  get(key) {
    return this.#find(key)?.value ?? null;
  }

  entries() {
    return [...this.#buckets.values()].flat();
  }

  getKeys() {
    return this.entries().map((entry) => entry.key);
  }

  getValues() {
    return this.entries().map((entry) => entry.value);
  }

  get length() {
    return this.#length;
  }
}

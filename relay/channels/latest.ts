/** What is kept for a client that cannot take all: of each channel and event the newest message. */
import type { Entry } from "./channel-history.ts";
import { formatBytes } from "./encode.ts";
import type { Subscription } from "./outlet.ts";
import type { Format } from "./view.ts";

interface KeptLatest {
  readonly entry: Entry;
  readonly subscription: Subscription;
}

export class Latest {
  /** Of the frames that are kept. */
  bytes = 0;
  readonly #format: Format;
  /** In the order of the messages. */
  readonly #kept = new Map<string, KeptLatest>();

  /** @param format in which they will be written */
  constructor(format: Format) {
    this.#format = format;
  }

  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  /** What is kept now. */
  get all(): Iterable<KeptLatest> {
    return this.#kept.values();
  }

  /** Keeps a message of the subscription. True when it took the place of an older one. */
  keep(subscription: Subscription, entry: Entry): boolean {
    const key = `${subscription.channel.name}\0${entry.eventName}`;
    // Deleted first, so that the map stays in the order of the messages.
    const replaced = this.#delete(key);
    this.#kept.set(key, { entry, subscription });
    this.bytes += formatBytes(entry, this.#format);
    return replaced;
  }

  /** The subscription wants nothing of it any more. */
  forget(subscription: Subscription): void {
    for (const [key, kept] of this.#kept) {
      if (kept.subscription === subscription) this.#delete(key);
    }
  }

  #delete(key: string): boolean {
    const older = this.#kept.get(key);
    if (!older) return false;
    this.bytes -= formatBytes(older.entry, this.#format);
    return this.#kept.delete(key);
  }
}

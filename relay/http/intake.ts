/**
 * What servers hand over, whatever carries it: the texts of items are read, within the bounds of the key
 * and in turns, and taken in their order.
 */
import { setImmediate } from "node:timers/promises";
import type { ApiKey } from "../access/keys.ts";
import type { LocalPublisher } from "../channels/local-publisher.ts";
import type { RelayConfig } from "../config/config.ts";
import { MAX_DEPTH } from "../contract/message.ts";
import type { ItemAnswer } from "./broadcast-answer.ts";
import { type ReadItem, readItem, takeItems } from "./items.ts";
import { rawMember } from "./json-span.ts";
import { KeyRates } from "./key-rates.ts";
import { Refusal } from "./request-body.ts";

/** How long items are parsed before others have their turn, ms. */
const TURN_MS = 10;
/** More than what stands around the payload of a message, however it is laid out, UTF-16 units. */
const ENVELOPE_BYTES = 65_536;
const NOT_JSON = `the body is not JSON, or nested deeper than ${MAX_DEPTH}`;

/** Whoever parses much lets others have their turn. */
export class Pace {
  #since = performance.now();

  /** Whether others have waited for long enough. */
  get isDue(): boolean {
    return performance.now() - this.#since >= TURN_MS;
  }

  async turn(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

export class Intake {
  readonly #publisher: LocalPublisher;
  readonly #limits: RelayConfig["limits"];
  readonly #rates: KeyRates;

  constructor(publisher: LocalPublisher, limits: RelayConfig["limits"]) {
    this.#publisher = publisher;
    this.#limits = limits;
    this.#rates = new KeyRates(limits.batchMessages);
  }

  /**
   * Reads one item after the other, and lets others have their turn between them.
   * @param texts one for each item, as `splitItems` cuts them; undefined: it could not
   * @throws {Refusal} all of it is refused; nothing was taken
   */
  async read(
    texts: readonly string[] | undefined,
    key: ApiKey,
    pace = new Pace(),
  ): Promise<ReadItem[]> {
    if (!texts) throw new Refusal("bad_json", NOT_JSON);
    const { batchMessages, messageBytes } = this.#limits;
    if (texts.length > batchMessages) {
      throw new Refusal("batch_too_large", `more than ${batchMessages} items in one body`);
    }
    if (!this.#rates.take(key, texts.length, performance.now())) {
      // A worker takes a code that it does not know for a refusal of the message.
      throw new Refusal(key.trusted ? "unavailable" : "rate_limited", "apiKeys[].itemsPerSecond");
    }
    // What is longer is not parsed.
    const longest = messageBytes + ENVELOPE_BYTES;
    const items: ReadItem[] = [];
    for (const text of texts) {
      if (text.length > longest) {
        const message = `the item has more than ${longest} characters; see limits.messageBytes`;
        items.push({ ok: false, code: "message_too_large", message });
        continue;
      }
      items.push(readItem(parse(text), rawMember(text, "payload")[0], key));
      if (pace.isDue) await pace.turn();
    }
    return items;
  }

  /** One answer per item. The key is the source of all that is handed over with it. */
  take(items: readonly ReadItem[], key: ApiKey): Promise<readonly ItemAnswer[]> {
    return takeItems(items, this.#publisher, key);
  }
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("bad_json", NOT_JSON);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal("bad_json", "the body must be an object or an array of objects");
  }
  return value as Record<string, unknown>;
}

/** Rates of client addresses, in a table of bounded size. */
import { isIP } from "node:net";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Addresses remembered; beyond it the one that was charged longest ago is forgotten. */
const MAX_ADDRESSES = 10_000;
const HEXTETS = 8;
/** RFC 6177: whoever has one address of a network of 64 bits has all of them. */
const NETWORK_HEXTETS = 4;

/** What counts as one address: an IPv4 address, or the network of an IPv6 address. */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  if (isIP(address) !== 6) return address;
  const [before = "", after] = (address.split("%")[0] as string).split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after ? after.split(":") : [];
  const zeros = after === undefined ? 0 : HEXTETS - head.length - tail.length;
  const hextets = [...head, ...new Array<string>(Math.max(zeros, 0)).fill("0"), ...tail];
  const network = hextets.slice(0, NETWORK_HEXTETS).map((part) => Number.parseInt(part, 16));
  return `${network.map((part) => part.toString(16)).join(":")}::/64`;
}

/** Whether it is an address of this machine for itself, which everybody behind a proxy on it has. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return address === "::1" || addressGroup(address).startsWith("127.");
}

export class AddressRates {
  readonly #rate: Rate | undefined;
  readonly #maxAddresses: number;
  /** Charged longest ago first. */
  readonly #limits = new Map<string, RateLimit>();

  /** @param perMinute what each address may use in a minute; also how much at once. 0: no limit */
  constructor(perMinute: number, maxAddresses = MAX_ADDRESSES) {
    this.#rate = perMinute === 0 ? undefined : { perSecond: perMinute / 60, burst: perMinute };
    this.#maxAddresses = maxAddresses;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#limits.size;
  }

  /** Charges `address`; false, and nothing is charged, when that is too much. `now`: monotonic, ms. */
  take(address: string | undefined, cost: number, now: number): boolean {
    if (!this.#rate || address === undefined) return true;
    const group = addressGroup(address);
    const limit = this.#limits.get(group) ?? new RateLimit(this.#rate, now);
    const taken = limit.take(cost, now, this.#rate);
    // Moved to the end.
    this.#limits.delete(group);
    this.#limits.set(group, limit);
    if (this.#limits.size > this.#maxAddresses) {
      const [oldest] = this.#limits.keys();
      this.#limits.delete(oldest as string);
    }
    return taken;
  }

  /** Whether `address` may be charged with `cost` at `now`. */
  has(address: string | undefined, cost: number, now: number): boolean {
    if (!this.#rate || address === undefined || this.#limits.size === 0) return true;
    const limit = this.#limits.get(addressGroup(address));
    return limit === undefined || limit.has(cost, now, this.#rate);
  }
}

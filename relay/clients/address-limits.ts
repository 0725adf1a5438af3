/** How often clients of an address were refused lately. */
import { isIP } from "node:net";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Addresses remembered; beyond it the one that was refused longest ago is forgotten. */
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

/** Whether everybody behind a proxy on this machine may have the address. */
export function isLoopback(address: string): boolean {
  return address === "::1" || addressGroup(address).startsWith("127.");
}

export class AddressLimits {
  readonly #rate: Rate | undefined;
  readonly #maxAddresses: number;
  /** Refused longest ago first. */
  readonly #refused = new Map<string, RateLimit>();

  /** @param perMinute refusals of one address; also how many may come at once. 0: no limit */
  constructor(perMinute: number, maxAddresses = MAX_ADDRESSES) {
    this.#rate = perMinute === 0 ? undefined : { perSecond: perMinute / 60, burst: perMinute };
    this.#maxAddresses = maxAddresses;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#refused.size;
  }

  /** A client of `address` was refused at `now`, ms of a monotonic clock. */
  refused(address: string | undefined, now: number): void {
    if (!this.#rate || address === undefined) return;
    const group = addressGroup(address);
    const limit = this.#refused.get(group) ?? new RateLimit(this.#rate, now);
    limit.take(1, now, this.#rate);
    // Moved to the end.
    this.#refused.delete(group);
    this.#refused.set(group, limit);
    if (this.#refused.size <= this.#maxAddresses) return;
    const [oldest] = this.#refused.keys();
    this.#refused.delete(oldest as string);
  }

  /** Whether the address was refused too often at `now`. */
  exhausted(address: string | undefined, now: number): boolean {
    if (!this.#rate || address === undefined || this.#refused.size === 0) return false;
    const limit = this.#refused.get(addressGroup(address));
    return limit !== undefined && !limit.has(1, now, this.#rate);
  }
}

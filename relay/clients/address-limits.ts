/** What clients of one address may do together: be refused, and be given history again. */
import { AddressRates } from "./address-rates.ts";

export class AddressLimits {
  /** Clients and requests that were refused. */
  readonly #refusals: AddressRates;
  /** Bytes of history. */
  readonly #replays: AddressRates;

  /** @param perMinute for each address; 0: no limit */
  constructor(perMinute: { readonly refusals: number; readonly replayBytes: number }) {
    this.#refusals = new AddressRates(perMinute.refusals);
    this.#replays = new AddressRates(perMinute.replayBytes);
  }

  /** A client of `address` was refused at `now`, ms of a monotonic clock. */
  refused(address: string | undefined, now: number): void {
    this.#refusals.take(address, 1, now);
  }

  /** Whether the address was refused too often at `now`. */
  exhausted(address: string | undefined, now: number): boolean {
    return !this.#refusals.has(address, 1, now);
  }

  /** Takes a replay of `bytes` for a client of `address`; false when it is too much. */
  takeReplay(address: string | undefined, bytes: number, now: number): boolean {
    return this.#replays.take(address, bytes, now);
  }
}

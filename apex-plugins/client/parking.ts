/**
 * A page that nobody has looked at for a while gives up its socket, and recovers by its positions
 * when it is shown. Fifty tabs then hold the sockets of those that are used.
 */
import type { Link } from "./link.ts";

/** How often a hidden page looks whether its time has come, ms. Browsers throttle it anyway. */
const LOOK_MS = 60_000;

export class Parking {
  readonly #link: Link;
  readonly #parkMs: () => number;
  #hiddenAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `parkMs`: how long the page has to be hidden, ms; it may change, and be infinite. */
  constructor(link: Link, parkMs: () => number) {
    this.#link = link;
    this.#parkMs = parkMs;
  }

  /** The page was shown or hidden. */
  look(visible: boolean): void {
    clearTimeout(this.#timer);
    if (visible) {
      this.#hiddenAt = undefined;
      this.#link.resume("parked");
    } else {
      this.#hiddenAt ??= Date.now();
      this.#check(this.#hiddenAt);
    }
  }

  /** The browser stops the page's scripts: a socket would only fill up. */
  freeze(): void {
    if (Number.isFinite(this.#parkMs())) this.#link.park();
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #check(since: number): void {
    const left = since + this.#parkMs() - Date.now();
    if (left <= 0) this.#link.park();
    // Also afterwards: a script of the hidden page may subscribe to its first channel.
    const next = left > 0 ? Math.min(left, LOOK_MS) : LOOK_MS;
    this.#timer = setTimeout(() => this.#check(since), next);
  }
}

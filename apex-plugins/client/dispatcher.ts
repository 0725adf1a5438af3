/** Collects a burst of messages and hands each listener its share, a part of a frame at a time. */

import type { MessageFrame } from "../../relay/contract/protocol.ts";
import { attempt, type Environment } from "./environment.ts";
import type { Listener } from "./listener.ts";

/** Messages held at most: hidden pages are woken seldom, and memory is bounded. */
const MOST = 5_000;
/** So long (ms) a frame may be taken up; the rest of it is the page's. */
const BUDGET_MS = 6;
/** Messages handed over before the clock is looked at. */
const SHARE = 20;

export class Dispatcher {
  readonly #env: Environment;
  readonly #waiting = new Map<Listener, MessageFrame[]>();
  #count = 0;
  #scheduled = false;

  constructor(env: Environment) {
    this.#env = env;
  }

  add(listener: Listener, message: MessageFrame): void {
    const messages = this.#waiting.get(listener);
    if (messages) messages.push(message);
    else this.#waiting.set(listener, [message]);
    this.#count++;
    if (this.#count >= MOST) this.flush();
    else this.#soon();
  }

  /** Hands over what waits, now and all of it. */
  flush(): void {
    this.#hand(Number.POSITIVE_INFINITY);
  }

  /** Nothing more for this listener, also when another one's messages are being handed over. */
  forget(listener: Listener): void {
    this.#count -= this.#waiting.get(listener)?.length ?? 0;
    this.#waiting.delete(listener);
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#env.beforeFrame(() => {
      this.#scheduled = false;
      this.#hand(performance.now() + BUDGET_MS);
      if (this.#count > 0) this.#soon();
    });
  }

  /** Listeners take turns, so that a slow one does not keep the others waiting for frames. */
  #hand(until: number): void {
    const all = until === Number.POSITIVE_INFINITY;
    while (this.#count > 0) {
      for (const [listener, messages] of [...this.#waiting]) {
        if (this.#waiting.get(listener) !== messages) continue;
        const share = messages.splice(0, all ? messages.length : SHARE);
        if (messages.length === 0) this.#waiting.delete(listener);
        this.#count -= share.length;
        attempt(this.#env, () => {
          // It may be removed by what it is told.
          for (const message of share) listener.on.onMessage?.(message);
          listener.on.onMessages?.(share);
        });
        if (performance.now() >= until) return;
      }
    }
  }
}

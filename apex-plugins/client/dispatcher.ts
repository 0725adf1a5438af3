/** Collects a burst of messages and hands each listener its share once per animation frame. */
import type { MessageFrame } from "../../relay/contract/protocol.ts";
import type { Listener } from "./channel.ts";
import type { Environment } from "./environment.ts";

/** Messages held at most: hidden pages are woken seldom, and memory is bounded. */
const MOST = 5_000;

export class Dispatcher {
  readonly #env: Environment;
  #waiting = new Map<Listener, MessageFrame[]>();
  #leaving = new Map<Listener, MessageFrame[]>();
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
    else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#env.beforeFrame(() => this.flush());
    }
  }

  /** Hands over what waits, now. */
  flush(): void {
    const leaving = this.#waiting;
    this.#leaving = leaving;
    this.#waiting = new Map();
    this.#count = 0;
    this.#scheduled = false;
    for (const [listener, messages] of leaving) {
      try {
        listener.on.onMessages(messages);
      } catch (error) {
        this.#env.report(error);
      }
    }
  }

  /** Nothing more for this listener, also when another one's messages are being handed over. */
  forget(listener: Listener): void {
    this.#waiting.delete(listener);
    this.#leaving.delete(listener);
  }
}

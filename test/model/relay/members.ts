/** Whom a page sees in a channel, as it is told. */
import type { Frame } from "./carriers.ts";
import { now } from "./clock.ts";

interface Entry {
  readonly user: string;
}

export class Members {
  /** Until when each is believed to be there, ms of the clock. */
  readonly #known = new Map<string, number>();
  #listed = false;

  /** The connection is another one: a list comes first. */
  reconnected(): void {
    this.#listed = false;
  }

  /** @returns what is wrong with the frame */
  take(frame: Frame): string | undefined {
    if (frame.op === "members") {
      this.#list(frame.members as Entry[], (frame.settleMs as number | undefined) ?? 0);
      return undefined;
    }
    if (!this.#listed) return "a change came before any list";
    const problems: string[] = [];
    for (const user of frame.left as string[]) {
      if (!this.#known.delete(user)) problems.push(`${user} left who was not there`);
    }
    for (const { user } of frame.joined as Entry[]) this.#known.set(user, Number.POSITIVE_INFINITY);
    return problems[0];
  }

  #list(entries: readonly Entry[], settleMs: number): void {
    this.#listed = true;
    const until = now() + settleMs;
    for (const [user, before] of this.#known) {
      if (settleMs > 0) this.#known.set(user, Math.min(before, until));
      else this.#known.delete(user);
    }
    for (const { user } of entries) this.#known.set(user, Number.POSITIVE_INFINITY);
  }

  get names(): string {
    if (!this.#listed) return "no list";
    const there = [...this.#known].filter(([, until]) => until > now());
    return there
      .map(([user]) => user)
      .sort()
      .join();
  }
}

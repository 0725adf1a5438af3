import { expect } from "vitest";
import type { Load, Subscriber } from "./support.ts";

/** Checks one subscriber's stream, after removal by id, against what was committed. */
export function expectExactly(subscriber: Subscriber, load: Load): void {
  const byId = new Map(subscriber.messages.map((message) => [message.id, message]));
  const arrived = new Map<number, number[]>([...load.committed.keys()].map((key) => [key, []]));
  const leaked: string[] = [];
  for (const { payload } of byId.values()) {
    const { session, n } = payload as { session: number; n: number };
    if (load.rolledBack.has(`${session}:${n}`)) leaked.push(`${session}:${n}`);
    else arrived.get(session)!.push(n);
  }
  expect(leaked).toEqual([]);
  expect(arrived).toEqual(load.committed);
}

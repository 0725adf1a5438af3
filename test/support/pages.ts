/** Pages behind a load balancer that asks the nodes in turn, and what must be true of each. */
import { expect, onTestFinished } from "vitest";
import { ModelClient } from "../model/client.ts";

export interface MovingPage {
  readonly client: ModelClient;
  /** How often it was told to refresh; the first subscription counts too. */
  refreshes(): number;
}

/**
 * Opens pages, which come back by themselves; ended with the test.
 * @param ports of the nodes now, also of one that is gone
 */
export function movingPages(
  count: number,
  channel: string,
  ports: () => readonly (number | undefined)[],
): MovingPage[] {
  let turn = 0;
  const pages = Array.from({ length: count }, () => {
    let refreshes = 0;
    const client = new ModelClient({
      carrier: "websocket",
      channels: [channel],
      port: () => ports()[turn++ % Math.max(1, ports().length)],
      committedRows: () => ++refreshes,
    });
    return { client, refreshes: () => refreshes };
  });
  onTestFinished(() => Promise.all(pages.map(({ client }) => client.stop())).then(() => {}));
  return pages;
}

/** Each page has 1 to `count`, once, in order, in one epoch, and was never told to refresh. */
export function expectWholePages(pages: readonly MovingPage[], count: number): void {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  for (const { client, refreshes } of pages) {
    expect(client.stream.map(({ payload }) => payload.n)).toEqual(numbers);
    expect(client.problems).toEqual([]);
    expect(refreshes()).toBe(1);
    expect(new Set(client.stream.map(({ epoch }) => epoch)).size).toBe(1);
  }
}

/** The figures of the demo's page, without a page. */
import { expect, it } from "vitest";
import { Dashboard } from "../../cli/demo/page/model.ts";

it("takes no latency from what was committed before the page was subscribed", () => {
  const dashboard = new Dashboard(["North"]);
  dashboard.live(1000);
  dashboard.received(1, 1010);
  dashboard.committed(1, 900);
  expect(dashboard.latency(0.5)).toBeUndefined();
  expect(dashboard.latencyOf(1, 1010)).toBeUndefined();
  // Commit first, or message first.
  dashboard.committed(2, 1100);
  dashboard.received(2, 1105);
  dashboard.received(3, 1207);
  dashboard.committed(3, 1200);
  expect(dashboard.latency(0)).toBe(5);
  expect(dashboard.latency(1)).toBe(7);
  // A page that was cut off waited for what it missed.
  dashboard.live(5000);
  dashboard.committed(4, 2000);
  dashboard.received(4, 5010);
  expect(dashboard.latency(1)).toBe(3010);
});

/** Whether a node serves, by the states of its queues. */
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { QueueConsumer } from "../../worker/consumer.ts";
import { reportServing } from "../../worker/leadership.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { QueueState } from "../../worker/queue-state.ts";

let reports: boolean[];
let states: QueueState[];
let end: () => void;
const start = (standby: boolean) => {
  const metrics = new WorkerMetrics(new Registry());
  states = ["A", "B"].map((name) => new QueueState(name, metrics));
  reports = [];
  end = reportServing({
    consumers: states.map((state) => ({ state })) as unknown as QueueConsumer[],
    standby,
    onServing: (serving) => reports.push(serving),
  });
};
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  end();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

it("a node alone serves on while its database is away", () => {
  start(false);
  states[0]!.set("backoff", "NJS-503");
  states[0]!.set("connecting");
  states[0]!.set("active");
  states[0]!.set("backoff", "NJS-500");
  vi.advanceTimersByTime(3_600_000);
  expect(reports).toEqual([true]);
});

it("a node alone serves on while another session has its lease, most likely its own lost one", () => {
  start(false);
  states[0]!.set("active");
  states[0]!.set("backoff", "NJS-500");
  states[0]!.set("standby");
  states[1]!.set("standby");
  vi.advanceTimersByTime(3_600_000);
  states[0]!.set("active");
  expect(reports).toEqual([true]);
});

it("one of two stops serving some time after it lost its database", () => {
  start(true);
  states[0]!.set("active");
  states[0]!.set("backoff", "NJS-500");
  vi.advanceTimersByTime(14_000);
  expect(reports).toEqual([true]);
  states[0]!.set("connecting");
  vi.advanceTimersByTime(2_000);
  expect(reports).toEqual([true, false]);
  states[0]!.set("active");
  expect(reports).toEqual([true, false, true]);
});

it("one of two serves on when its session is back in time", () => {
  start(true);
  states[0]!.set("active");
  states[0]!.set("backoff", "NJS-500");
  vi.advanceTimersByTime(10_000);
  states[0]!.set("active");
  vi.advanceTimersByTime(60_000);
  expect(reports).toEqual([true]);
});

it("one of two serves nobody before it has the lease", () => {
  start(true);
  states[0]!.set("backoff", "NJS-503");
  vi.advanceTimersByTime(60_000);
  expect(reports).toEqual([]);
});

it("the standby of any queue keeps the node from serving", () => {
  start(true);
  states[0]!.set("active");
  states[1]!.set("standby");
  expect(reports).toEqual([true, false]);
});

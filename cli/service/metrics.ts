/** Metrics of the process, whatever runs in it. */
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";
import { logOutput } from "../../common/logger.ts";
import { scrapedMetrics } from "../../common/scraped-metrics.ts";
import { type Roles, roleName } from "../roles.ts";
import { VERSION } from "../version.ts";

/** Of the library's default metrics: they list every socket, each time, and say what others say. */
const COSTLY = [
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
];
/** How often the event loop's delay is sampled, ms. */
const LAG_PRECISION_MS = 20;

/**
 * Registers them, once per registry.
 * @param isReady as `/readyz` of the admin listener
 */
export function registerServiceMetrics(
  registry: Registry,
  { roles, isReady }: { readonly roles: Roles; readonly isReady: () => boolean },
): void {
  const { counter, gauge } = scrapedMetrics(registry);
  const labels = { version: VERSION, nodejs: process.versions.node, role: roleName(roles) };
  new Gauge({
    name: "rtm_build_info",
    help: "1; what runs is in the labels.",
    labelNames: Object.keys(labels),
    registers: [registry],
  }).set(labels, 1);
  gauge("rtm_ready", "1 while /readyz says yes.", () => (isReady() ? 1 : 0));
  counter(
    "rtm_process_log_lines_dropped_total",
    "Log lines that standard output did not take.",
    () => logOutput().dropped,
  );
}

/**
 * Adds the default metrics of Node processes. From then on the event loop's delay is sampled and
 * garbage collections are observed, so it is done for a registry that somebody scrapes, not before.
 */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  for (const name of COSTLY) registry.removeSingleMetric(name);
}

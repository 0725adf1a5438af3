/** Prometheus metrics of the shared log (docs/metrics.md). */
import { Histogram, type Registry } from "prom-client";
import { scrapedMetrics } from "../../../common/scraped-metrics.ts";
import type { Hails } from "./hails.ts";
import type { ValkeyLog } from "./valkey-log.ts";

/** Registers them, once per registry. */
export function registerLogMetrics(registry: Registry, log: ValkeyLog): void {
  const { stats } = log;
  const { counter, gauge, tally } = scrapedMetrics(registry);
  gauge("rtm_log_current", "1 while the shared log is heard.", () => (log.isCurrent ? 1 : 0));
  gauge("rtm_log_lag_entries", "Entries that are in the log and not applied here.", () => log.lag);
  gauge("rtm_log_engine_bytes", "Bytes of messages that the log keeps.", () => log.engineBytes);
  tally(
    "rtm_log_appended_total",
    "Messages given to the log, by what became of them.",
    "result",
    () => Object.entries(stats.appended),
  );
  tally("rtm_log_resets_total", "Times the node began anew, by reason.", "reason", () =>
    Object.entries(stats.resets),
  );
  tally(
    "rtm_log_caught_up_waits_total",
    "Times a client's position was ahead of this node, by whether it caught up.",
    "result",
    () => Object.entries(stats.caughtUp),
  );
  counter("rtm_log_reconnects_total", "Connections to the engine that failed.", () => {
    return stats.reconnects;
  });
  counter("rtm_log_entries_total", "Entries applied.", () => stats.entries);
  counter("rtm_log_entry_messages_total", "Messages in these entries.", () => stats.entryMessages);
  const seconds = new Histogram({
    name: "rtm_log_append_seconds",
    help: "Time until the engine had acknowledged a batch.",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  });
  stats.onAppend = (took) => seconds.observe(took);
}

/** Registers what is called out past the log, once per registry. */
export function registerHailMetrics(registry: Registry, { counts }: Hails): void {
  scrapedMetrics(registry).tally(
    "rtm_log_client_events_total",
    "Events of clients between nodes, past the log.",
    "result",
    () => Object.entries(counts),
  );
}

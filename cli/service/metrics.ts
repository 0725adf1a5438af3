/** Metrics of the process, whatever runs in it. */
import { Counter, type Registry } from "prom-client";
import { logOutput } from "../../common/logger.ts";

export function registerServiceMetrics(registry: Registry): void {
  new Counter({
    name: "rtm_log_lines_dropped_total",
    help: "Log lines that standard output did not take.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(logOutput().dropped);
    },
  });
}

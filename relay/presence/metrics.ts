/** Metrics of presence (docs/metrics.md); only where a rule lets somebody be seen. */
import type { Registry } from "prom-client";
import { scrapedMetrics } from "../../common/scraped-metrics.ts";
import type { Presence } from "./presence.ts";

export function registerPresenceMetrics(registry: Registry, presence: Presence): void {
  const { counter, gauge, tally } = scrapedMetrics(registry);
  const { roster, stats } = presence;
  gauge("rtm_relay_members", "Users seen in channels, on all nodes.", () => roster.size);
  gauge(
    "rtm_relay_watchers",
    "Clients that see the members of a channel, once for each channel.",
    () => presence.watchers,
  );
  tally(
    "rtm_relay_presence_frames_total",
    "Frames about members, one for each client.",
    "kind",
    () => stats.frames,
  );
  counter(
    "rtm_relay_nodes_gone_total",
    "Other nodes that this one found dead.",
    () => stats.nodesGone,
  );
}

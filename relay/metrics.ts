/** Prometheus metrics (docs/metrics.md). Counted as plain numbers, read when scraped. */
import type { Histogram, Registry } from "prom-client";
import { scrapedMetrics } from "../common/scraped-metrics.ts";
import type { Clients } from "./clients/clients.ts";
import type { Log } from "./log/log.ts";
import { MemoryLog } from "./log/memory-log.ts";
import { registerLogMetrics } from "./log/valkey/metrics.ts";
import { ValkeyLog } from "./log/valkey/valkey-log.ts";
import type { Distribution, Stats } from "./node/stats.ts";
import { registerPresenceMetrics } from "./presence/metrics.ts";

type Scraped = ReturnType<typeof scrapedMetrics>;

/** Registers the relay's metrics. The registry must not hold metrics of another relay. */
export function registerMetrics(registry: Registry, clients: Clients, messageLog: Log): void {
  if (messageLog instanceof ValkeyLog) registerLogMetrics(registry, messageLog);
  const { stats } = clients;
  const scraped = scrapedMetrics(registry);
  registerState(scraped, clients, messageLog);
  registerTraffic(scraped, stats);
  registerOutcomes(scraped, stats);
  if (clients.presence) registerPresenceMetrics(registry, clients.presence);
  const histogram = (name: string, help: string, values: Distribution) =>
    registry.registerMetric(readHistogram(name, help, values) as unknown as Histogram);
  histogram("rtm_relay_fanout", "Subscribers per accepted message.", stats.fanout);
  histogram(
    "rtm_relay_accept_to_write_seconds",
    "Time from accepting a message to handing it to its subscribers' sockets.",
    stats.latency,
  );
}

/** What there is at this moment, and what of it had to be dropped. */
function registerState({ gauge, gauges, tally }: Scraped, clients: Clients, messageLog: Log): void {
  const { stats, hub } = clients;
  gauge(
    "rtm_relay_connections",
    "Open connections of clients, whatever carries them.",
    () => clients.connections.size,
  );
  gauges("rtm_relay_peers", "The same by what carries them.", "kind", () => clients.countPeers());
  gauge("rtm_relay_subscriptions", "Subscriptions of open connections.", () => stats.subscriptions);
  gauge(
    "rtm_relay_channels",
    "Channels that have subscribers or history.",
    () => hub.channels.size,
  );
  gauge("rtm_relay_publishers", "Open publishing sockets of servers.", () => stats.publishers);
  gauge("rtm_relay_revocations", "Revocations in force.", () => clients.revocations.size);
  gauge("rtm_relay_held_bytes", "Unsent bytes held for clients.", () => hub.measure());
  gauge("rtm_relay_history_messages", "Messages in history.", () => hub.history.count);
  gauge("rtm_relay_history_bytes", "Bytes in history.", () => hub.history.bytes);
  gauge("rtm_relay_retained_values", "Last values that outlive the history.", () => {
    return hub.retained.size;
  });
  gauge("rtm_relay_retained_bytes", "Bytes of last values.", () => hub.retained.bytes);
  tally(
    "rtm_relay_retained_dropped_total",
    "Last values that were not kept as long as asked for, by reason; with a shared log those that this " +
      "node appended or replaced.",
    "reason",
    () =>
      messageLog instanceof ValkeyLog
        ? Object.entries(messageLog.stats.retainedDropped)
        : hub.retained.dropped,
  );
  gauge("rtm_relay_duplicate_ids", "Ids in the duplicate window.", () =>
    messageLog instanceof MemoryLog ? messageLog.duplicates.size : 0,
  );
}

/** What has come and gone since the start. */
function registerTraffic({ counter }: Scraped, stats: Stats): void {
  counter(
    "rtm_relay_connections_opened_total",
    "Connections that were accepted, without polls.",
    () => stats.connectionsOpened,
  );
  counter("rtm_relay_polls_total", "Polls that were accepted.", () => stats.polls);
  counter(
    "rtm_relay_accepts_refused_total",
    "TCP connections dropped because all sockets that may be accepted were open.",
    () => stats.acceptsRefused,
  );
  counter(
    "rtm_relay_revocations_of_all_total",
    "Times that all tokens issued before were revoked, for want of room for one more revocation.",
    () => stats.revocationsOfAll,
  );
  counter(
    "rtm_relay_messages_accepted_total",
    "Messages accepted from publishers, without duplicates.",
    () => stats.messagesAccepted,
  );
  counter(
    "rtm_relay_accepted_bytes_total",
    "Encoded bytes of accepted messages.",
    () => stats.bytesAccepted,
  );
  counter(
    "rtm_relay_duplicates_total",
    "Messages that came again inside the duplicate window and were not sent.",
    () => stats.duplicates,
  );
  counter(
    "rtm_relay_messages_delivered_total",
    "Messages written to subscribers, one for each client.",
    () => stats.messagesDelivered,
  );
  counter(
    "rtm_relay_delivered_bytes_total",
    "Bytes of messages written to subscribers.",
    () => stats.bytesDelivered,
  );
  counter(
    "rtm_relay_messages_conflated_total",
    "Messages that a slow client under the policy latest did not get.",
    () => stats.messagesConflated,
  );
  counter(
    "rtm_relay_client_frames_total",
    "Frames received from clients.",
    () => stats.framesReceived,
  );
}

/** What became of it, by result or reason. */
function registerOutcomes({ tally }: Scraped, stats: Stats): void {
  tally(
    "rtm_relay_publish_frames_total",
    "Frames of publishing sockets, by what became of them.",
    "result",
    () => stats.publishFrames,
  );
  tally(
    "rtm_relay_client_events_total",
    "Events that clients sent to each other, by what became of them.",
    "result",
    () => stats.clientEvents,
  );
  tally(
    "rtm_relay_recoveries_total",
    "Subscriptions with since, by whether they could be recovered.",
    "result",
    () => [
      ["granted", stats.recoveriesGranted],
      ["refused", stats.recoveriesRefused],
    ],
  );
  tally(
    "rtm_relay_replays_refused_total",
    "Replays that were refused for their bytes, by whose budget was used up.",
    "reason",
    () => stats.replaysRefused,
  );
  tally(
    "rtm_relay_messages_rejected_total",
    "Messages refused for good, by code.",
    "code",
    () => stats.rejections,
  );
  tally(
    "rtm_relay_closes_total",
    "Connections closed by the relay, by the name of the close code.",
    "reason",
    () => stats.closes,
  );
  tally(
    "rtm_relay_handshakes_refused_total",
    "Requests that did not become a WebSocket, by reason.",
    "reason",
    () => stats.handshakes,
  );
  tally(
    "rtm_relay_requests_refused_total",
    "HTTP requests that were refused as a whole, by reason.",
    "reason",
    () => stats.requestsRefused,
  );
  tally(
    "rtm_relay_slow_client_disconnects_total",
    "Connections dropped for the bytes they held, by reason.",
    "reason",
    () => stats.drops,
  );
  tally(
    "rtm_relay_authorization_failures_total",
    "Refused tokens, API keys, channels and origins, by reason.",
    "reason",
    () => stats.authFailures,
  );
}

/**
 * A histogram as a registry reads it, with the library's `get` only: its `observe` costs too much
 * for each message.
 */
function readHistogram(name: string, help: string, distribution: Distribution) {
  const get = async () => {
    const { bounds, counts, sum } = distribution;
    let count = 0;
    const buckets = counts.map((inBucket, index) => {
      count += inBucket;
      const le = bounds[index] ?? "+Inf";
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    const values = [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type: "histogram", values, aggregator: "sum" };
  };
  return { name, get };
}

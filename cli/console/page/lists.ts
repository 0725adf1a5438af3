/** What the page says in lists of terms. */
import type { Hello, RelayFigures, Sample } from "../contract.ts";
import { bytes, count, percent, seconds } from "../format.ts";

function totals(values: Readonly<Record<string, number>>): string {
  const entries = Object.entries(values).filter(([, value]) => value > 0);
  if (entries.length === 0) return "none";
  return entries
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${count(value)}`)
    .join(", ");
}

export function pagesList({
  subscriptions,
  presence,
  opened,
  recoveries,
  closes,
  drops,
  authFailures,
  handshakes,
  rejections,
  duplicates,
}: RelayFigures): [string, string][] {
  return [
    ["Subscriptions", count(subscriptions)],
    ...(presence ? ([["Users present", count(presence.members)]] as [string, string][]) : []),
    ["Opened since the start", count(opened)],
    ["Recoveries", `${count(recoveries.granted)} granted, ${count(recoveries.refused)} refused`],
    ["Slow clients disconnected", totals(drops)],
    ["Closed by the relay", totals(closes)],
    ["Rights refused", totals(authFailures)],
    ["Handshakes refused", totals(handshakes)],
    ["Messages refused", totals(rejections)],
    ["Duplicates dropped", count(duplicates)],
  ];
}

/** @param listeners what the database says of all workers; undefined while it was not asked */
export function nodeList(
  { point, relay, log }: Sample,
  hello: Hello,
  listeners: string | null | undefined,
): [string, string][] {
  const engine: [string, string][] =
    log === null
      ? [["Log", relay ? "in this node's memory" : "none: no relay here"]]
      : [
          ["Log", log.current ? "shared, heard" : "shared, NOT HEARD"],
          ["Behind the log", `${count(log.lag)} entries`],
          ["Kept by the engine", bytes(log.engineBytes)],
          ["Appended", totals(log.appended)],
          ["Began anew", totals(log.resets)],
          ["Reconnects", count(log.reconnects)],
        ];
  const heard =
    listeners === undefined
      ? "ask the database"
      : listeners === null
        ? "its user may not call RTM_OPERATOR"
        : listeners || "none was heard lately";
  return [
    ["This node", `${hello.host}, process ${hello.pid}`],
    ["Up for", seconds(Math.floor((point.at - hello.startedAt) / 1000))],
    ["CPU", `${percent(point.cpu)} of a core; the event loop is busy ${percent(point.loop)}`],
    ["Memory", bytes(point.rss)],
    ...(relay
      ? ([
          ["History", `${count(relay.historyMessages)} messages, ${bytes(relay.historyBytes)}`],
          ["Epoch", relay.epoch],
        ] as [string, string][])
      : []),
    ...(relay?.presence
      ? ([["Nodes that are heard", relay.presence.nodes.join(", ") || "none"]] as [
          string,
          string,
        ][])
      : []),
    ...engine,
    ...(hello.database ? ([["Workers of all nodes", heard]] as [string, string][]) : []),
  ];
}

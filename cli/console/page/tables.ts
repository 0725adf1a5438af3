/** The tables of the page and their columns. */
import type { ChannelRow, QueueRow, SlowClientRow, WarningRow } from "../contract.ts";
import { bytes, count, countedUpTo, perSecond, seconds, UNKNOWN } from "../format.ts";
import { element } from "./elements.ts";
import { Table } from "./table.ts";

export interface TableOptions {
  /** Settled messages of a queue per second. */
  readonly rateOf: (queue: string) => number | undefined;
  /** Shows the messages of a channel. */
  readonly follow: (channel: string) => void;
}

export function makeTables({ rateOf, follow }: TableOptions) {
  const queueTable = new Table<QueueRow>(
    element<HTMLTableElement>("queues"),
    [
      { title: "Queue", text: ({ queue }) => queue },
      {
        title: "State",
        text: ({ state, reason, sinceMs }) =>
          `${state}${reason ? ` (${reason})` : ""} for ${seconds(Math.floor(sinceMs / 1000))}`,
        style: ({ state }) => `state ${state}`,
      },
      {
        title: "Waiting",
        text: ({ ready }) => countedUpTo(ready),
        isNumber: true,
        style: ({ ready }) => ((ready ?? 0) >= 1000 ? "warn" : ""),
      },
      {
        title: "Oldest",
        text: ({ oldestAgeS }) => seconds(oldestAgeS ?? undefined),
        isNumber: true,
        style: ({ oldestAgeS }) => ((oldestAgeS ?? 0) > 60 ? "bad" : ""),
      },
      {
        title: "Locked by others",
        text: ({ blocked }) => count(blocked),
        isNumber: true,
        style: ({ blocked }) => (blocked > 0 ? "bad" : ""),
      },
      {
        title: "Settled per second",
        text: ({ queue }) => perSecond(rateOf(queue)),
        isNumber: true,
      },
      {
        title: "Settled",
        text: ({ accepted, duplicates }) =>
          `${count(accepted)}${duplicates > 0 ? ` and ${count(duplicates)} twice` : ""}`,
        isNumber: true,
      },
      { title: "Held", text: ({ holds }) => count(holds), isNumber: true },
      {
        title: "Set aside",
        text: ({ poison }) => count(poison),
        isNumber: true,
        style: ({ poison }) => (poison > 0 ? "warn" : ""),
      },
      {
        title: "Exception queue",
        text: ({ exceptions }) => countedUpTo(exceptions),
        isNumber: true,
        style: ({ exceptions }) => ((exceptions ?? 0) > 0 ? "warn" : ""),
      },
      {
        title: "Database answered",
        text: ({ lastTickMs }) =>
          lastTickMs === null ? "not yet" : `${seconds(Math.floor(lastTickMs / 1000))} ago`,
        isNumber: true,
      },
    ],
    ({ queue }) => queue,
    "No queue here: this is a relay alone.",
  );

  const channelTable = new Table<ChannelRow>(
    element<HTMLTableElement>("channels"),
    [
      { title: "Channel", text: ({ channel }) => channel, wraps: true },
      { title: "Per second", text: ({ rate }) => perSecond(rate), isNumber: true },
      {
        title: "Subscribers",
        text: ({ subscriptions, members }) =>
          `${count(subscriptions)}${members === null ? "" : `, ${count(members)} users`}`,
        isNumber: true,
      },
      { title: "Number", text: ({ seq }) => count(seq), isNumber: true },
      {
        title: "Kept",
        text: ({ kept, keptBytes }) => `${count(kept)}, ${bytes(keptBytes)}`,
        isNumber: true,
      },
      {
        title: "Last values",
        text: ({ retained, retainedBytes }) =>
          retained === 0 ? "none" : `${count(retained)}, ${bytes(retainedBytes)}`,
        isNumber: true,
      },
      {
        title: "Messages",
        text: () => "Follow",
        button: {
          label: ({ channel }) => `Follow ${channel}`,
          press: ({ channel }) => follow(channel),
        },
      },
    ],
    ({ channel }) => channel,
    "No channel has subscribers, history or last values.",
  );

  const slowTable = new Table<SlowClientRow & { readonly place: number }>(
    element<HTMLTableElement>("slow"),
    [
      { title: "Address", text: ({ address }) => address ?? UNKNOWN },
      { title: "Held", text: ({ heldBytes }) => bytes(heldBytes), isNumber: true },
      { title: "Channels", text: ({ subscriptions }) => count(subscriptions), isNumber: true },
      { title: "State", text: ({ waiting }) => (waiting ? "behind" : "draining") },
    ],
    ({ place }) => String(place),
    "Every page takes what it is sent.",
  );

  const warningTable = new Table<WarningRow>(
    element<HTMLTableElement>("warnings"),
    [
      {
        title: "Time",
        text: ({ time }) => (time === "" ? UNKNOWN : new Date(time).toLocaleTimeString("en-GB")),
      },
      {
        title: "Level",
        text: ({ level }) => level,
        style: ({ level }) => (level === "warn" ? "warn" : "bad"),
      },
      { title: "Component", text: ({ component }) => component ?? UNKNOWN },
      { title: "Message", text: ({ message }) => message, wraps: true },
      { title: "Details", text: ({ details }) => details, wraps: true, style: () => "code" },
    ],
    ({ number }) => String(number),
    "No warnings since the start.",
  );

  return {
    queues: queueTable,
    channels: channelTable,
    slowClients: slowTable,
    warnings: warningTable,
  };
}

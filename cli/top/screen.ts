/** What `rtm top` shows: the console's essentials as lines of text. Pure. */
import { printable } from "../../common/printable.ts";
import type { Paint, Style } from "../colour.ts";
import {
  bytes,
  count,
  countedUpTo,
  latency,
  percent,
  perSecond,
  seconds,
} from "../console/format.ts";
import type { ConsoleModel, Leg } from "../console/model.ts";

const MOST_CHANNELS = 8;
const MOST_CLIENTS = 5;
const MOST_WARNINGS = 5;

type Cell = string | { readonly text: string; readonly style: Style };

const textOf = (cell: Cell) => (typeof cell === "string" ? cell : cell.text);

/** Text of others takes one line and no command of the terminal, and is cut to `most` characters. */
function safe(text: string, most = 60): string {
  const line = printable(text).replace(/\s+/g, " ");
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** Columns as wide as they need to be; the first to the left, numbers to the right. */
function table(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): string[] {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => textOf(row[column] as Cell).length)),
  );
  const line = (cells: readonly Cell[], style?: Style) =>
    cells
      .map((cell, column) => {
        const text = textOf(cell);
        const width = widths[column] as number;
        const padded = column < 2 ? text.padEnd(width) : text.padStart(width);
        const own = typeof cell === "string" ? style : cell.style;
        return own ? paint(padded, own) : padded;
      })
      .join("  ")
      .trimEnd();
  return [line(titles, "dim"), ...rows.map((row) => line(row))];
}

/** A number that somebody should look at when it is not zero. */
function alarming(value: number, text: string, style: Style = "yellow"): Cell {
  return value > 0 ? { text, style } : text;
}

function queues({ sample }: ConsoleModel, model: ConsoleModel, paint: Paint): string[] {
  const rows = sample?.queues ?? [];
  if (rows.length === 0) return [];
  const good = new Set(["active", "standby"]);
  const lines = rows.map((row): Cell[] => {
    const state = `${row.state}${row.reason ? ` (${row.reason})` : ""}`;
    return [
      safe(row.queue, 40),
      { text: safe(state, 40), style: good.has(row.state) ? "green" : "yellow" },
      countedUpTo(row.ready),
      alarming((row.oldestAgeS ?? 0) - 60, seconds(row.oldestAgeS ?? undefined), "red"),
      alarming(row.blocked, count(row.blocked), "red"),
      perSecond(model.queueRate(row.queue)),
      alarming(row.poison, count(row.poison)),
      alarming(row.exceptions ?? 0, countedUpTo(row.exceptions)),
    ];
  });
  const titles = [
    "QUEUE",
    "STATE",
    "WAITING",
    "OLDEST",
    "LOCKED",
    "PER S",
    "SET ASIDE",
    "EXCEPTIONS",
  ];
  return ["", ...table(titles, lines, paint)];
}

function channels({ sample }: ConsoleModel, paint: Paint): string[] {
  const rows = sample?.channels.slice(0, MOST_CHANNELS) ?? [];
  if (rows.length === 0) return [];
  const lines = rows.map((row) => [
    safe(row.channel, 40),
    perSecond(row.rate),
    count(row.subscriptions),
    count(row.members),
    count(row.seq),
    bytes(row.keptBytes),
    count(row.retained),
  ]);
  const titles = ["CHANNEL", "PER S", "SUBSCRIBERS", "PRESENT", "NUMBER", "KEPT", "LAST VALUES"];
  return ["", ...table(titles, lines, paint)];
}

function slowClients({ sample }: ConsoleModel, paint: Paint): string[] {
  const rows = sample?.slowClients.slice(0, MOST_CLIENTS) ?? [];
  if (rows.length === 0) return [];
  const lines = rows.map(({ address, heldBytes, subscriptions, waiting }) => [
    safe(address ?? "-"),
    waiting ? "behind" : "draining",
    bytes(heldBytes),
    count(subscriptions),
  ]);
  return ["", ...table(["SLOW CLIENT", "STATE", "HELD", "CHANNELS"], lines, paint)];
}

function warnings(model: ConsoleModel, paint: Paint): string[] {
  const rows = model.warnings.slice(0, MOST_WARNINGS);
  if (rows.length === 0) return [];
  const lines = rows.map(({ time, level, message, details }) => {
    const at = time === "" ? "" : `${time.slice(11, 19)} `;
    const style: Style = level === "warn" ? "yellow" : "red";
    return `${paint(safe(`${at}${level}`), style)} ${safe(message, 90)} ${paint(safe(details, 90), "dim")}`.trimEnd();
  });
  return ["", paint("WARNINGS", "dim"), ...lines];
}

function legs(model: ConsoleModel): string {
  const words = (name: string, leg: Leg): string[] => {
    // Of two processes the other one tells it.
    if (!model.sample?.point[leg]) return [];
    const { messages, p50, p99 } = model.latency(leg);
    return [`${name} ${messages === 0 ? "-" : `p50 ${latency(p50)}, p99 ${latency(p99)}`}`];
  };
  const both = [...words("call to worker", "dequeue"), ...words("relay to sockets", "write")];
  return `${both.join("; ")} (last minute)`;
}

/** The lines of one moment. Empty before the first sample. */
export function screen(model: ConsoleModel, paint: Paint): string[] {
  const { hello, sample } = model;
  if (!hello || !sample) return [];
  const { point, relay, log } = sample;
  const state = sample.ready ? paint("ready", "green", "bold") : paint("not ready", "red", "bold");
  const lines = [
    `${paint("apex-rtm", "bold")} ${safe(hello.version)} ${safe(hello.role)} on ${safe(hello.host)}, up ${seconds(Math.floor((point.at - hello.startedAt) / 1000))}: ${state}`,
    ...sample.reasons.map(
      ({ code, message }) => `  ${paint(safe(code), "red")} ${safe(message, 150)}`,
    ),
    ...sample.conditions.map(
      ({ code, message }) => `  ${paint(safe(code), "yellow")} ${safe(message, 150)}`,
    ),
    `messages ${perSecond(model.rate("accepted"))}/s in${relay ? `, ${perSecond(model.rate("delivered"))}/s out, ${bytes(model.rate("deliveredBytes"))}/s` : ""}; ${legs(model)}`,
  ];
  if (relay) {
    const { granted, refused } = relay.recoveries;
    lines.push(
      `pages ${count(point.connections)}, subscriptions ${count(relay.subscriptions)}, channels ${count(relay.channels)}, held ${bytes(relay.heldBytes)}; recoveries ${count(granted)} granted, ${count(refused)} refused`,
    );
  }
  if (log) {
    lines.push(
      `log ${log.current ? "heard" : paint("not heard", "red")}, ${count(log.lag)} entries behind, ${bytes(log.engineBytes)} kept by the engine`,
    );
  }
  lines.push(
    `cpu ${percent(point.cpu)}, event loop ${percent(point.loop)}, memory ${bytes(point.rss)}`,
    ...queues(model, model, paint),
    ...channels(model, paint),
    ...slowClients(model, paint),
    ...warnings(model, paint),
  );
  return lines;
}

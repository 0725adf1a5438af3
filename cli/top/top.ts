/** `rtm top`: the console's essentials in a terminal, read from the admin listener. */
import { messageOf } from "../../common/errors.ts";
import { printable } from "../../common/printable.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import { mayColour, painter } from "../colour.ts";
import type { Hello, Sample } from "../console/contract.ts";
import { ConsoleModel } from "../console/model.ts";
import { CommandError, UsageError } from "../exit.ts";
import { below } from "../relay-url.ts";
import { VERSION } from "../version.ts";
import { events, type StreamEvent } from "./events.ts";
import { screen } from "./screen.ts";

const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const ALTERNATE = "\u001b[?1049h\u001b[?25l";
/** Ctrl+C among them, which a raw terminal does not turn into a signal. */
const QUIT = ["q", "Q", "\u0003"];
const BACK = "\u001b[?25h\u001b[?1049l";

export interface TopOptions {
  /** Of the admin listener. */
  readonly url: string;
  readonly tokenFile?: string;
  /** Prints one moment and ends. */
  readonly once?: boolean;
  /** Prints samples as JSON lines. */
  readonly json?: boolean;
}

/** From a file or RTM_CONSOLE_TOKEN; undefined when there is none: this host needs none. */
function consoleToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.RTM_CONSOLE_TOKEN || undefined;
  try {
    return readSecretFile(file);
  } catch (error) {
    throw new UsageError(`--token-file: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Runs until the signal is aborted, the service goes away, or `q` is pressed. Without a terminal it
 * prints one moment after the other, without moving about.
 * @throws {CommandError} the admin listener cannot be reached, or refuses
 */
export async function top(options: TopOptions, signal: AbortSignal): Promise<void> {
  const token = consoleToken(options.tokenFile);
  const url = below(options.url, "console/api/events");
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const output = process.stdout;
  const lively = output.isTTY === true && !options.once && !options.json;
  const paint = painter(mayColour(output));
  const model = new ConsoleModel();
  let samples = 0;
  const restore = lively ? takeScreen(() => stop.abort()) : () => {};
  try {
    const headers: Record<string, string> = {};
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    for await (const event of events(url, headers, until)) {
      const text = understood(url, () => {
        if (!take(event, model)) return undefined;
        // A rate needs two of them, and what was printed does not get it later.
        if (!lively && ++samples < 2) return undefined;
        return options.json ? [printable(jsonOf(model))] : screen(model, paint);
      });
      if (text === undefined) continue;
      if (lively) draw(text);
      else output.write(`${text.join("\n")}\n${options.once || options.json ? "" : "\n"}`);
      if (options.once) return;
    }
    if (!until.aborted)
      throw new CommandError(`${url.origin} ended the stream: did the service stop?`);
  } finally {
    stop.abort();
    restore();
  }
}

/** Whether it was a sample. */
function take({ name, data }: StreamEvent, model: ConsoleModel): boolean {
  if (name === "hello") model.begin(JSON.parse(data) as Hello);
  if (name !== "sample") return false;
  model.take(JSON.parse(data) as Sample);
  return true;
}

/**
 * What comes is of a service of this version, as a rule, and is not looked at member by member.
 * @throws {CommandError} it is something else
 */
function understood<T>(url: URL, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CommandError(
      `${url.origin} sends what this rtm top (${VERSION}) does not understand: is it a service of another ` +
        `version, or none? (${messageOf(error)})`,
      { cause: error },
    );
  }
}

/** One sample with the rates that a program would otherwise have to compute. */
function jsonOf(model: ConsoleModel): string {
  const { hello, sample } = model;
  const rates = {
    accepted: model.rate("accepted") ?? null,
    delivered: model.rate("delivered") ?? null,
    deliveredBytes: model.rate("deliveredBytes") ?? null,
  };
  const { version, host, role, bounds } = hello as Hello;
  const latency = { dequeue: model.latency("dequeue"), write: model.latency("write") };
  return JSON.stringify({ version, host, role, bounds, rates, latency, ...sample });
}

/** Draws over what was there, so that nothing flickers; what is too long for the terminal is cut. */
function draw(lines: readonly string[]): void {
  const { rows = 24 } = process.stdout;
  const shown = lines.slice(0, rows - 1);
  process.stdout.write(
    `${HOME}${shown.map((line) => `${line}${CLEAR_LINE}`).join("\r\n")}${CLEAR_BELOW}`,
  );
}

/** Takes the terminal over, and gives back what returns it. */
function takeScreen(onQuit: () => void): () => void {
  const { stdin, stdout } = process;
  // No line wraps: what is too wide is cut by the terminal.
  stdout.write(`${ALTERNATE}\u001b[?7l`);
  const onKey = (key: Buffer) => {
    if (QUIT.includes(key.toString())) onQuit();
  };
  if (stdin.isTTY) stdin.setRawMode(true).resume().on("data", onKey);
  return () => {
    stdout.write(`\u001b[?7h${BACK}`);
    if (stdin.isTTY) stdin.setRawMode(false).off("data", onKey).pause();
  };
}

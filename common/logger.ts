/** Log lines in JSON, without secrets; repeated warnings rarely, and the last ones kept for the console. */
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";
import { LogOutput } from "./log-output.ts";
import { RecentLines } from "./recent-lines.ts";

export type { Logger };

export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Member names whose values never reach a log line, at the top and one level down. */
const SECRET_MEMBERS = [
  "password",
  "walletPassword",
  "accessToken",
  "secret",
  "token",
  "key",
  "apiKey",
  "authorization",
  "cookie",
  "payload",
];

let standardOutput: LogOutput | undefined;

/** The log's way to standard output, one for the process. */
export function logOutput(): LogOutput {
  standardOutput ??= new LogOutput();
  return standardOutput;
}

let recent: RecentLines | undefined;

/** Warnings and errors of all loggers of the process. */
export function recentWarnings(): RecentLines {
  recent ??= new RecentLines();
  return recent;
}

/** Who has it is told the level of a line before it is written (pino, "pino.destination", metadata). */
const METADATA: unique symbol = Symbol.for("pino.metadata");

/** Keeps warnings on their way out. */
class WarningTap implements DestinationStream {
  readonly [METADATA] = true;
  lastLevel = 0;
  readonly #next: DestinationStream;
  readonly #lines = recentWarnings();

  constructor(next: DestinationStream) {
    this.#next = next;
  }

  write(line: string): void {
    this.#lines.add(this.lastLevel, line);
    this.#next.write(line);
  }
}

/**
 * A pino logger that writes JSON lines to standard output (or to `destination`) and redacts
 * secrets and payloads. Components take a child: `log.child({ component: "relay" })`.
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: [
        ...SECRET_MEMBERS.flatMap((name) => [name, `*.${name}`]),
        'headers["x-api-key"]',
        '*.headers["x-api-key"]',
      ],
      censor: "[redacted]",
    },
  };
  // What logs nothing must not touch standard output: commands write their results there.
  const silent = level === "silent" ? { write: () => {} } : undefined;
  return pino(options, new WarningTap(destination ?? silent ?? logOutput()));
}

/**
 * Lets a repeated warning through once per `intervalMs` and key; the next one that passes carries
 * how many were held back.
 */
export class RateLimitedLog {
  readonly #log: Logger;
  readonly #intervalMs: number;
  readonly #last = new Map<string, { at: number; suppressed: number }>();

  constructor(log: Logger, intervalMs = 10_000) {
    this.#log = log;
    this.#intervalMs = intervalMs;
  }

  /** @param key what counts as the same warning */
  warn(key: string, fields: object, message: string): void {
    const now = performance.now();
    const last = this.#last.get(key);
    if (last && now - last.at < this.#intervalMs) {
      last.suppressed++;
      return;
    }
    this.#last.set(key, { at: now, suppressed: 0 });
    this.#log.warn(last?.suppressed ? { ...fields, suppressed: last.suppressed } : fields, message);
  }
}

/** What the processes of the worker's benchmark say to each other. */

export type Framing = "19c" | "23ai";

/** `plain`: deqOne and commit in a loop, nothing else. `ours`: worker and relay. */
export type SubjectKind = "plain" | "ours";

export interface SubjectOptions {
  readonly kind: SubjectKind;
  readonly connectString: string;
  readonly batch: number;
  readonly receipts: boolean;
  /** Messages to come; the figures leave out the first `warmUp`. */
  readonly messages: number;
  readonly warmUp: number;
}

export type DatabaseCommand =
  | { readonly do: "fill"; readonly messages: number; readonly bytes: number }
  | {
      readonly do: "bursts";
      readonly size: number;
      readonly count: number;
      readonly gapMs: number;
    }
  | { readonly do: "count-trips" }
  | { readonly do: "stop" };

export type DatabaseReport =
  | { readonly is: "listening"; readonly connectString: string }
  | { readonly is: "filled" }
  | { readonly is: "burst-end" }
  /** Requests of the dequeuing session so far, logon included. */
  | { readonly is: "trips"; readonly count: number };

export type SubjectCommand =
  | { readonly do: "go" }
  | { readonly do: "measure-heap" }
  | { readonly do: "stop" };

export type SubjectReport =
  | { readonly is: "ready"; readonly port: number }
  | { readonly is: "heap"; readonly bytes: number }
  | {
      readonly is: "done";
      readonly messages: number;
      readonly elapsedMs: number;
      readonly cpuMs: number;
    };

export const PASSWORD = "benchmark";
export const CHANNEL = "bench";

/** Milliseconds of a clock that all processes of the machine share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A message of our queue. `sentAt` and the filler are in the payload. */
export function queueMessage(bytes: number): string {
  const header = { v: 1, channel: CHANNEL, eventName: "tick", ts: Date.now() };
  const payload = { sentAt: sharedClock(), filler: "x".repeat(Math.max(0, bytes - 60)) };
  return `${JSON.stringify(header)}\n${JSON.stringify(payload)}`;
}

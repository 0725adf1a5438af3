/** What the log counts, for the metrics. */

import type { ResetReason } from "../log.ts";
import type { RetainedDrop } from "../retained-value.ts";

export type AppendResult = "accepted" | "duplicate" | "unavailable" | "fenced";

export class LogStats {
  readonly appended: Record<AppendResult, number> = {
    accepted: 0,
    duplicate: 0,
    unavailable: 0,
    fenced: 0,
  };
  readonly resets: Record<ResetReason, number> = { start: 0, lost: 0, behind: 0 };
  readonly caughtUp = { true: 0, false: 0 };
  /** Last values that the engine dropped when this node appended. */
  readonly retainedDropped: Record<RetainedDrop, number> = { full: 0, too_large: 0 };
  reconnects = 0;
  entries = 0;
  entryMessages = 0;
  /** Called with the seconds of every append. */
  onAppend: (seconds: number) => void = () => {};

  reset(reason: ResetReason): void {
    this.resets[reason]++;
  }

  entry(messages: number): void {
    this.entries++;
    this.entryMessages += messages;
  }
}

/** RTM_LOG: append-only, so that the newest row of a message tells its state. */
import type { Session } from "../session.ts";

/** A committed row. */
export interface LogRow {
  readonly messageId: string;
  readonly channel: string | null;
  readonly eventName: string | null;
  /** Empty in a receipt. */
  readonly payload: string;
  readonly status: "QUEUED" | "DELIVERED" | "REJECTED";
  readonly recipients: number | null;
  readonly reason: string | null;
}

export class RtmLog {
  /** In the order of the commits, and of the calls within one. */
  readonly rows: LogRow[] = [];
  /** The newest row of each message but receipts. */
  readonly #byMessage = new Map<string, LogRow>();

  /** In the session's transaction. */
  add(session: Session, row: LogRow): void {
    const commit = () => {
      this.rows.push(row);
      this.#byMessage.set(row.messageId, row);
    };
    session.change({ undo: () => {}, commit });
  }

  /** A further row for a message that has one, in the session's transaction. */
  addReceipt(session: Session, messageId: string, recipients: number): void {
    const commit = () => {
      const row = this.#byMessage.get(messageId);
      if (row) this.rows.push({ ...row, payload: "", status: "DELIVERED", recipients });
    };
    session.change({ undo: () => {}, commit });
  }
}

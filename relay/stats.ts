/** What the relay counts: plain numbers on the hot path, read by `metrics.ts` when scraped. */
import type { Entry } from "./history.ts";

/** Numbers under names, each counting up from zero. */
export class Tally extends Map<string, number> {
  add(name: string): void {
    this.set(name, (this.get(name) ?? 0) + 1);
  }
}

/** Where observations of a distribution go. */
export interface Observer {
  observe(value: number): void;
}

const NOWHERE: Observer = { observe: () => {} };

export class Stats {
  subscriptions = 0;
  messagesAccepted = 0;
  bytesAccepted = 0;
  duplicates = 0;
  messagesDelivered = 0;
  bytesDelivered = 0;
  messagesConflated = 0;
  framesReceived = 0;
  recoveriesGranted = 0;
  recoveriesRefused = 0;
  connectionsOpened = 0;
  /** Rejected messages by code. */
  readonly rejections = new Tally();
  /** Connections closed by the relay, by the name of the close code. */
  readonly closes = new Tally();
  /** Connections dropped for their held bytes, by reason. */
  readonly kills = new Tally();
  /** Refused tokens, API keys, channels and origins, by reason. */
  readonly authFailures = new Tally();
  /** Connections per message. */
  fanout: Observer = NOWHERE;
  /** Seconds from accepting a message to writing it to its readers' sockets. */
  latency: Observer = NOWHERE;

  accepted(bytes: number, recipients: number): void {
    this.messagesAccepted++;
    this.bytesAccepted += bytes;
    this.fanout.observe(recipients);
  }

  duplicate(): void {
    this.duplicates++;
  }

  rejected(code: string): void {
    this.rejections.add(code);
  }

  delivered(messages: number, bytes: number): void {
    this.messagesDelivered += messages;
    this.bytesDelivered += bytes;
  }

  /** A message was replaced by a newer one before its reader could take it. */
  conflated(): void {
    this.messagesConflated++;
  }

  /** The messages were written to their readers' sockets at `now`, ms of the monotonic clock. */
  flushed(entries: readonly Entry[], now: number): void {
    for (const entry of entries) this.latency.observe((now - entry.at) / 1000);
  }

  recovery(granted: boolean): void {
    if (granted) this.recoveriesGranted++;
    else this.recoveriesRefused++;
  }

  closed(name: string): void {
    this.closes.add(name);
  }

  killed(reason: string): void {
    this.kills.add(reason);
  }

  authFailed(reason: string): void {
    this.authFailures.add(reason);
  }
}

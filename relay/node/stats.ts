/** What the relay counts: plain numbers on the hot path, read by `metrics.ts` when scraped. */

/** Numbers under names, each counting up from zero. */
export class Tally extends Map<string, number> {
  add(name: string): void {
    this.set(name, (this.get(name) ?? 0) + 1);
  }
}

/** How often values were at most each of some bounds. */
export class Distribution {
  /** Ascending. */
  readonly bounds: readonly number[];
  /** Values above the bound before and up to this one; last, those above all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }
}

/**
 * What the rooms of the relay count, from the start of the process on; `relay/metrics.ts` and the
 * console read it.
 */
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
  polls = 0;
  acceptsRefused = 0;
  revocationsOfAll = 0;
  /** Open publishing sockets. */
  publishers = 0;
  /** Rejected messages by code. */
  readonly rejections = new Tally();
  /** HTTP requests that were refused as a whole, by reason. */
  readonly requestsRefused = new Tally();
  /** Frames of publishing sockets, by what became of them: taken, held, refused. */
  readonly publishFrames = new Tally();
  /** Events of clients: `sent`, or by the code of the refusal. */
  readonly clientEvents = new Tally();
  /** Replays that were refused for their bytes, by who asked for too much. */
  readonly replaysRefused = new Tally();
  /** Connections closed by the relay, by the name of the close code. */
  readonly closes = new Tally();
  /** Handshakes that did not become a WebSocket, by reason. */
  readonly handshakes = new Tally();
  /** Connections dropped for their held bytes, by reason. */
  readonly drops = new Tally();
  /** Refused tokens, API keys, channels and origins, by reason. */
  readonly authFailures = new Tally();
  /** Connections per message. */
  readonly fanout = new Distribution([0, 1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000]);
  /** Seconds from accepting a message to writing it to its subscribers' sockets. */
  readonly latency = new Distribution([
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
  ]);

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

  /** A message was replaced by a newer one before its client could take it. */
  conflated(): void {
    this.messagesConflated++;
  }

  /** The messages were written to their subscribers' sockets at `now`, ms of the monotonic clock. */
  flushed(entries: readonly { readonly at: number }[], now: number): void {
    for (const entry of entries) this.latency.observe((now - entry.at) / 1000);
  }

  recovery(granted: boolean): void {
    if (granted) this.recoveriesGranted++;
    else this.recoveriesRefused++;
  }

  requestRefused(reason: string): void {
    this.requestsRefused.add(reason);
  }

  replayRefused(reason: string): void {
    this.replaysRefused.add(reason);
  }

  /** All tokens issued before a time were revoked, as there was no room for one more revocation. */
  revokedAll(): void {
    this.revocationsOfAll++;
  }

  /** A connection was dropped before anything was read from it: there were too many. */
  acceptRefused(): void {
    this.acceptsRefused++;
  }

  closed(name: string): void {
    this.closes.add(name);
  }

  dropped(reason: string): void {
    this.drops.add(reason);
  }

  handshakeRefused(reason: string): void {
    this.handshakes.add(reason);
  }

  authFailed(reason: string): void {
    this.authFailures.add(reason);
  }
}

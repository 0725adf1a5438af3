/** The channels with most messages per second. There may be very many, so that not each sample looks at all. */
import type { ChannelFigures, Inspection } from "../../relay/inspection.ts";
import type { ChannelRow } from "./contract.ts";

/** How long after one look at all channels the next one is due, ms: few of them, many of them. */
const LOOK_MS = 2_000;
const LOOK_MANY_MS = 10_000;
const MANY_CHANNELS = 5_000;
/** What a timer may be early, ms. */
const EARLY_MS = 50;

export class BusiestChannels {
  readonly #most: number;
  #seqs: Map<string, number> | undefined;
  #lookedAt = 0;
  #rows: readonly ChannelRow[] = [];

  /** @param most how many rows */
  constructor(most: number) {
    this.#most = most;
  }

  /** Forgets the names of all channels. */
  reset(): void {
    this.#seqs = undefined;
    this.#rows = [];
    this.#lookedAt = 0;
  }

  rows(inspection: Pick<Inspection, "channels">): readonly ChannelRow[] {
    const now = performance.now();
    const before = this.#seqs;
    const pause = (before?.size ?? 0) > MANY_CHANNELS ? LOOK_MANY_MS : LOOK_MS;
    if (before && now - this.#lookedAt < pause - EARLY_MS) return this.#rows;
    const seconds = (now - this.#lookedAt) / 1000;
    const seqs = new Map<string, number>();
    const rows: ChannelRow[] = [];
    for (const view of inspection.channels()) {
      const { channel, members = null, seq = null } = view;
      if (seq !== null) seqs.set(channel, seq);
      const rate = before ? rateOf(view, before, seconds) : null;
      this.#take(rows, { ...view, seq, members, rate });
    }
    this.#seqs = seqs;
    this.#lookedAt = now;
    this.#rows = rows;
    return rows;
  }

  /** Keeps the first ones sorted, without sorting all. */
  #take(rows: ChannelRow[], row: ChannelRow): void {
    const last = rows.at(-1);
    if (rows.length === this.#most && last && order(row, last) >= 0) return;
    rows.push(row);
    rows.sort(order);
    if (rows.length > this.#most) rows.pop();
  }
}

function rateOf(
  { channel, seq, kept }: ChannelFigures,
  before: ReadonlyMap<string, number>,
  seconds: number,
): number {
  if (seq === undefined) return 0;
  const was = before.get(channel);
  // Numbers of a channel that is new may begin anywhere: what is kept of it came since.
  const messages = was === undefined || seq < was ? kept : seq - was;
  return messages / seconds;
}

function order(a: ChannelRow, b: ChannelRow): number {
  return (
    (b.rate ?? 0) - (a.rate ?? 0) ||
    b.subscriptions - a.subscriptions ||
    (b.seq ?? 0) - (a.seq ?? 0)
  );
}

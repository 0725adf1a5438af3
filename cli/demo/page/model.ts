/** What the dashboard shows, without a page: totals, revenue per second, latency. */

export interface Order {
  readonly orderId: number;
  readonly region: string;
  readonly product: string;
  readonly amount: number;
  /** Identifies the transaction, so that its commit time can be joined. */
  readonly tx: number;
}

export interface Snapshot {
  readonly version: string;
  readonly orders: number;
  readonly revenue: number;
  readonly rolledBack: number;
  readonly feeding: boolean;
  /** Ids of the committed orders that are counted in it, the newest ones. */
  readonly orderIds: readonly number[];
  /** Whether nodes share a log, and can be killed. */
  readonly cluster: boolean;
}

/** Seconds of the chart. */
const SECONDS = 60;
/** Latency is taken over this many messages. */
const SAMPLES = 1000;

export class Dashboard {
  revenue = 0;
  orders = 0;
  #seen = new Set<number>();
  #rolledBackTx = new Set<number>();
  leaked = 0;
  #liveSince = Number.POSITIVE_INFINITY;
  readonly regions: readonly string[];
  /** Revenue by region and second; the key is the second since 1970. */
  readonly #bySecond = new Map<number, number[]>();
  readonly #waiting = new Map<number, number[]>();
  readonly #commits = new Map<number, number>();
  readonly #latencies: number[] = [];

  constructor(regions: readonly string[]) {
    this.regions = regions;
  }

  /** Starts anew from what the database has committed. */
  reset(snapshot: Snapshot): void {
    this.revenue = snapshot.revenue;
    this.orders = snapshot.orders;
    this.#seen = new Set(snapshot.orderIds);
  }

  /** Takes an order of time `at` (ms since 1970) in; returns false when it is counted already. */
  add(order: Order, at: number): boolean {
    if (this.#rolledBackTx.has(order.tx)) this.leaked++;
    if (this.#seen.has(order.orderId)) return false;
    this.#seen.add(order.orderId);
    this.orders++;
    this.revenue += order.amount;
    const second = Math.floor(at / 1000);
    const row = this.#bySecond.get(second) ?? this.regions.map(() => 0);
    const region = this.regions.indexOf(order.region);
    row[region] = (row[region] ?? 0) + order.amount;
    this.#bySecond.set(second, row);
    this.#bySecond.delete(second - SECONDS - 5);
    return true;
  }

  rolledBack(tx: number): void {
    this.#rolledBackTx.add(tx);
  }

  /** The page is subscribed since `at`; what was committed before is history and has no latency. */
  live(at: number): void {
    this.#liveSince = Math.min(this.#liveSince, at);
  }

  /** A message of transaction `tx` was received at `at`. */
  received(tx: number, at: number): void {
    const committed = this.#commits.get(tx);
    if (committed === undefined) this.#waiting.set(tx, [...(this.#waiting.get(tx) ?? []), at]);
    else this.#sample(committed, at);
  }

  /** The database answered the commit of `tx` at `at`. */
  committed(tx: number, at: number): void {
    if (this.#commits.has(tx)) return;
    this.#commits.set(tx, at);
    if (this.#commits.size > 5000)
      this.#commits.delete(this.#commits.keys().next().value as number);
    for (const received of this.#waiting.get(tx) ?? []) this.#sample(at, received);
    this.#waiting.delete(tx);
  }

  #sample(committed: number, received: number): void {
    if (committed < this.#liveSince) return;
    // The message may overtake the answer to the commit on its way to the producer.
    this.#latencies.push(Math.max(0, received - committed));
    if (this.#latencies.length > SAMPLES) this.#latencies.shift();
  }

  latencyOf(tx: number, at: number): number | undefined {
    const committed = this.#commits.get(tx);
    if (committed === undefined || committed < this.#liveSince) return undefined;
    return Math.max(0, at - committed);
  }

  /** The quantile `q` (0 to 1) of the latency in ms; undefined without samples. */
  latency(q: number): number | undefined {
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  }

  /** Orders per second would need counts; revenue rows serve the chart: seconds, then regions. */
  chart(now: number): [number[], ...number[][]] {
    const end = Math.floor(now / 1000);
    const seconds = Array.from({ length: SECONDS }, (_unused, index) => end - SECONDS + index);
    const series = this.regions.map((_region, index) =>
      seconds.map((second) => this.#bySecond.get(second)?.[index] ?? 0),
    );
    return [seconds, ...series];
  }
}

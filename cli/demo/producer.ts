/** Transactions of the demo, made with the real driver. */
import oracledb from "oracledb";
import { INSERT_SALE, PUBLISH_TOTALS } from "./shop.ts";

const REGIONS = ["North", "South", "East", "West"];
const PRODUCTS: readonly (readonly [string, number])[] = [
  ["Espresso machine", 649],
  ["Grinder", 219],
  ["Kettle", 89],
  ["Scale", 59],
  ["Beans, 1 kg", 24],
  ["Filter papers", 7],
];

/** Commits remembered for the page's latency figures. */
const COMMITS = 500;

export interface Done {
  readonly tx: number;
  readonly rows: number;
  readonly rolledBack: boolean;
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)]!;
}

/** Milliseconds since 1970, finer than Date.now(). */
function now(): number {
  return performance.timeOrigin + performance.now();
}

export class Producer {
  /** Transaction and the time (ms since 1970) at which the driver's commit() returned. */
  readonly commits: [number, number][] = [];
  readonly #connection: oracledb.Connection;
  #tail: Promise<unknown> = Promise.resolve();
  #orderId = 1000;
  #tx = 0;
  #feed: NodeJS.Timeout | undefined;

  private constructor(connection: oracledb.Connection) {
    this.#connection = connection;
  }

  static async open(connectString: string, user: string, password: string): Promise<Producer> {
    return new Producer(await oracledb.getConnection({ connectString, user, password }));
  }

  get feeding(): boolean {
    return this.#feed !== undefined;
  }

  /** Inserts `rows` orders in one transaction and commits it or rolls it back. */
  transaction(rows: number, commit: boolean): Promise<Done> {
    // One transaction after the other: they share a session.
    const turn = this.#tail.then(() => this.#run(rows, commit));
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #run(rows: number, commit: boolean): Promise<Done> {
    const tx = ++this.#tx;
    const orders = Array.from({ length: rows }, () => {
      const [product, price] = pick(PRODUCTS);
      const amount = price * (1 + Math.floor(Math.random() * 3));
      return { order_id: ++this.#orderId, region: pick(REGIONS), product, amount, tx };
    });
    await this.#connection.executeMany(INSERT_SALE, orders);
    await this.#connection.execute(PUBLISH_TOTALS);
    if (commit) {
      await this.#connection.commit();
      this.commits.push([tx, now()]);
      if (this.commits.length > COMMITS) this.commits.shift();
    } else await this.#connection.rollback();
    return { tx, rows, rolledBack: !commit };
  }

  /** Commits one or two orders every now and then, until it is switched off. */
  feed(on: boolean, onError: (error: unknown) => void): void {
    clearTimeout(this.#feed);
    this.#feed = undefined;
    if (!on) return;
    const next = () => {
      this.#feed = setTimeout(
        () => {
          this.transaction(1 + Math.floor(Math.random() * 2), true).catch(onError);
          next();
        },
        150 + Math.random() * 700,
      );
    };
    next();
  }

  async close(): Promise<void> {
    this.feed(false, () => {});
    await this.#tail;
    await this.#connection.close();
  }
}

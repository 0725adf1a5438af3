/**
 * The demo's database: a table SALES whose insert trigger broadcasts, and a procedure that broadcasts
 * totals, on the emulator. What PL/SQL would do (sql/examples/) is done here by handlers of statements.
 */
import type { Emulator, RtmSchema, Session, SqlValue } from "../../emulator/index.ts";
import { SALES, WALL } from "./access.ts";

export const INSERT_SALE =
  "insert into sales (order_id, region, product, amount, tx) values (:order_id, :region, :product, :amount, :tx)";
/** Broadcasts the totals of the regions that the transaction has changed, to be retained. */
export const PUBLISH_TOTALS = "begin sales_totals.publish; end;";

/** Ids remembered for a page that starts: more than a page can have got twice. */
const RECENT = 5000;
/** How long a total is kept for pages that open, s. */
const RETAIN_S = 86_400;

interface Total {
  readonly orders: number;
  readonly revenue: number;
}

const NONE: Total = { orders: 0, revenue: 0 };

export class Shop {
  orders = 0;
  revenue = 0;
  rolledBack = 0;
  readonly orderIds: number[] = [];
  readonly #totals = new Map<string, Total>();
  /** What a transaction that is under way sees of the regions in which it has inserted. */
  readonly #open = new WeakMap<Session, Map<string, Total>>();

  constructor(emulator: Emulator, schema: RtmSchema) {
    emulator.onStatement("insert into sales", ({ binds, session }) => {
      this.#insert(session, schema, binds as Record<string, SqlValue>);
      return { rowsAffected: 1 };
    });
    emulator.onStatement(PUBLISH_TOTALS, ({ session }) => {
      for (const [region, total] of this.#open.get(session) ?? []) {
        schema.broadcast(session, WALL, region, JSON.stringify(total), RETAIN_S);
      }
      return {};
    });
  }

  #insert(session: Session, schema: RtmSchema, row: Record<string, SqlValue>): void {
    const orderId = Number(row.ORDER_ID);
    const amount = Number(row.AMOUNT);
    const { REGION: region, PRODUCT: product, TX: tx } = row;
    const payload = { orderId, region, product, amount, tx: Number(tx) };
    schema.broadcast(session, SALES, "order-created", JSON.stringify(payload));
    this.#count(session, String(region), amount);
    session.change({
      undo: () => {
        this.rolledBack++;
        this.#open.delete(session);
      },
      commit: () => {
        this.orders++;
        this.revenue += amount;
        this.orderIds.push(orderId);
        if (this.orderIds.length > RECENT) this.orderIds.shift();
        for (const [name, total] of this.#open.get(session) ?? []) this.#totals.set(name, total);
        this.#open.delete(session);
      },
    });
  }

  #count(session: Session, region: string, amount: number): void {
    const open = this.#open.get(session) ?? new Map<string, Total>();
    this.#open.set(session, open);
    const { orders, revenue } = open.get(region) ?? this.#totals.get(region) ?? NONE;
    open.set(region, { orders: orders + 1, revenue: revenue + amount });
  }
}

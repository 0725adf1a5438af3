/**
 * The demo's database: a table SALES whose insert trigger broadcasts, on the emulator. What a
 * PL/SQL trigger would do (sql/examples/) is done here by the handler of the insert statement.
 */
import type { Emulator, RtmSchema, Session, SqlValue } from "../../emulator/index.ts";

export const INSERT_SALE =
  "insert into sales (order_id, region, product, amount, tx) values (:order_id, :region, :product, :amount, :tx)";

/** Ids remembered for a page that starts: more than a page can have got twice. */
const RECENT = 5000;

export class Shop {
  orders = 0;
  revenue = 0;
  rolledBack = 0;
  readonly orderIds: number[] = [];

  constructor(emulator: Emulator, schema: RtmSchema) {
    emulator.onStatement("insert into sales", ({ binds, session }) => {
      this.#insert(session, schema, binds as Record<string, SqlValue>);
      return { rowsAffected: 1 };
    });
  }

  #insert(session: Session, schema: RtmSchema, row: Record<string, SqlValue>): void {
    const orderId = Number(row.ORDER_ID);
    const amount = Number(row.AMOUNT);
    const { REGION: region, PRODUCT: product, TX: tx } = row;
    const payload = { orderId, region, product, amount, tx: Number(tx) };
    schema.broadcast(session, "sales", "order-created", JSON.stringify(payload));
    session.change({
      undo: () => void this.rolledBack++,
      commit: () => {
        this.orders++;
        this.revenue += amount;
        this.orderIds.push(orderId);
        if (this.orderIds.length > RECENT) this.orderIds.shift();
      },
    });
  }
}

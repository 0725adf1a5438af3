/**
 * Tiles as on a wall display: they show the newest total of each region, which the relay hands over to
 * a page that has just come. Nothing is fetched.
 */
import type { MessageFrame, RtmClient } from "../../../apex-plugins/client/index.ts";
import { make, show } from "./dom.ts";
import { clock, money, whole } from "./format.ts";

interface Total {
  readonly orders: number;
  readonly revenue: number;
}

function isTotal(payload: unknown): payload is Total {
  const { orders, revenue } = (payload ?? {}) as Partial<Total>;
  return typeof orders === "number" && typeof revenue === "number";
}

export function hangWall(client: RtmClient, regions: readonly string[], host: HTMLElement): void {
  const tiles = new Map(
    regions.map((region) => {
      const tile = make("article", "tile");
      const figure = make("p", "figure", "-");
      const note = make("p", "note", "no order yet");
      tile.append(make("h3", "", region), figure, note);
      host.append(tile);
      return [region, { figure, note }] as const;
    }),
  );
  client.subscribe("wall", {
    last: 1,
    onMessage({ eventName, payload, ts }: MessageFrame) {
      const tile = tiles.get(eventName);
      if (!tile || !isTotal(payload)) return;
      show(tile.figure, money.format(payload.revenue));
      const { orders } = payload;
      show(tile.note, `${whole.format(orders)} ${orders === 1 ? "order" : "orders"}, ${clock(ts)}`);
    },
  });
}

import { expect, it } from "vitest";
import { until } from "../support/until.ts";
import { Tab, useWorld } from "./kit.ts";
import type { Attributes, DynamicActionSpec } from "./site.ts";

const world = useWorld();

interface Combination {
  readonly item: string;
  readonly channel: string;
  readonly listener: Attributes;
  readonly broadcast: Attributes;
  readonly wait: boolean;
}

/** Every way in which an item's change can be sent and a message can set the item. */
function combinations(): Combination[] {
  const all: Combination[] = [];
  for (const source of ["ITEM", "ITEMS", "SCRIPT"] as const) {
    for (const onMessage of ["", "ITEMS"]) {
      for (const debounce of ["0", "30"]) {
        for (const wait of [false, true]) {
          const n = all.length;
          const item = `P1_C${n}`;
          const channel = `loop-${n}`;
          const payloads: Record<string, Attributes> = {
            ITEM: { 5: item },
            ITEMS: { 7: "ITEMS", 8: `${item}, P1_OTHER` },
            SCRIPT: {
              7: "SCRIPT",
              10: `({ itemName: "${item}", value: apex.item("${item}").getValue() })`,
            },
          };
          all.push({
            item,
            channel,
            wait,
            listener: { 2: channel, 3: "*", 5: onMessage, 11: "Y" },
            broadcast: { 3: channel, 4: "changed", 11: debounce, ...payloads[source] },
          });
        }
      }
    }
  }
  return all;
}

const RECORD =
  "jQuery(document).on('rtm_listener_status', (e, s) => (window.seen.statuses ??= []).push(s));";

/** Changes the items in both pages at once, so that the messages cross. */
async function cross(tabs: readonly Tab[], items: readonly string[]) {
  await Promise.all(
    tabs.map((tab, index) =>
      tab.page.evaluate(
        ([names, text]) => {
          for (const name of names) {
            const item = document.getElementById(name) as HTMLInputElement;
            item.value = `${text}`;
            jQuery(item).trigger("change");
          }
        },
        [items, `value of page ${index}`] as const,
      ),
    ),
  );
}

declare const jQuery: (element: Element) => { trigger(event: string): void };

it.each(["", "upper case"])(
  "pages that broadcast their changes never answer each other for ever (items that make %j)",
  async (makes) => {
    const all = combinations();
    const actions: DynamicActionSpec[] = all.flatMap(({ item, listener, broadcast, wait }) => [
      { event: "ready", actions: [{ listener }] },
      { event: "change", on: `#${item}`, actions: [{ broadcast, wait }] },
    ]);
    const spec = {
      actions: [{ event: "ready", actions: [{ script: RECORD }] }, ...actions],
      body: [...all.map(({ item }) => item), "P1_OTHER"]
        .map((id) => `<input id="${id}" data-item data-makes="${makes}">`)
        .join(""),
    };
    const tabs = [await Tab.open(world, spec), await Tab.open(world, spec)];
    for (const tab of tabs) for (const { channel } of all) await tab.subscribed(channel);
    const before = world.stack.schema.log.length;
    const sent = () => world.stack.schema.log.slice(before);
    await cross(
      tabs,
      all.map(({ item }) => item),
    );
    await until("both pages have sent every item", () => sent().length >= 2 * all.length);
    // A loop would go on while these pass through the same queue, relay and pages.
    for (let n = 0; n < 5; n++) {
      for (const tab of tabs) {
        await world.stack.send(all[0]!.channel, "end", { n });
        await tab.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      }
    }
    const changes = sent().filter(({ eventName }) => eventName === "changed");
    const counts = all.map(
      ({ channel }) => changes.filter((row) => row.channel === channel).length,
    );
    expect(counts).toEqual(all.map(() => 2));
  },
  90_000,
);

it("nor do pages whose actions compute new values from received ones, after a call to the server", async () => {
  const compute = `
    const item = document.getElementById("P1_SUM");
    setTimeout(() => { item.value = Number(item.value) + 1; jQuery(item).trigger("change"); }, 10);`;
  const spec = {
    items: ["P1_SUM"],
    actions: [
      { event: "ready", actions: [{ script: RECORD }] },
      { event: "ready", actions: [{ listener: { 2: "sum", 3: "*", 5: "EVENT" } }] },
      { event: "ready", actions: [{ listener: { 2: "sum", 3: "*", 5: "", 11: "Y" } }] },
      {
        event: "change",
        on: "#P1_SUM",
        actions: [{ broadcast: { 3: "sum", 4: "e", 5: "P1_SUM" } }],
      },
      { event: "rtm-message", actions: [{ script: compute }] },
    ],
  };
  const tabs = [await Tab.open(world, spec), await Tab.open(world, spec)];
  for (const tab of tabs) await tab.subscribed("sum");
  await cross(tabs.slice(0, 1), ["P1_SUM"]);
  await until("a page has refused to go on", async () => {
    const debug = await Promise.all(tabs.map((tab) => tab.seen<string>("debug")));
    return debug.flat().some((line) => line.includes("answer each other"));
  });
}, 60_000);

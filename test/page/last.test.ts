/** The newest messages of each event, for pages that show the present state. */
import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld } from "./kit.ts";

const world = useWorld();

const reading = (celsius: number, retain?: number) =>
  world.stack.transaction([
    {
      channel: "hall:7",
      eventName: "temperature",
      payload: { P40_TEMPERATURE: celsius },
      ...(retain === undefined ? {} : { retain }),
    },
  ]);

/** So much that the history of the channel has nothing older. */
async function busy(channel: string): Promise<void> {
  await world.stack.burst(channel, 1001);
  const { inspection } = world.stack.service.relay!;
  await until("all of it has come", () => inspection.positionBehind(channel, 0).seq > 1001);
}

describe("recipe: A tile on a wall", () => {
  it("shows the newest reading when the page opens, and every one that follows", async () => {
    for (const celsius of [19, 20, 21]) await reading(celsius, 86_400);
    await busy("hall:7");
    const tab = await Tab.open(
      world,
      listening(
        {
          2: "hall:7",
          3: "temperature",
          5: "ITEMS",
          6: "P40_TEMPERATURE",
          10: "REFRESH",
          13: "LAST:STAY",
        },
        { items: ["P40_TEMPERATURE"] },
      ),
    );
    const shown = () => tab.page.inputValue("#P40_TEMPERATURE");
    await until("the tile is filled", async () => (await shown()) === "21");
    await tab.subscribed("hall:7");
    await reading(22, 86_400);
    await until("the tile follows", async () => (await shown()) === "22");
    const values = (await tab.payloads()).map(
      (payload) => (payload as { P40_TEMPERATURE: number }).P40_TEMPERATURE,
    );
    expect(values).toEqual([21, 22]);
    const statuses = await tab.seen<{ state: string }>("statuses");
    expect(statuses.map(({ state }) => state)).not.toContain("gap");
    expect(await tab.problems()).toEqual([]);
  });
});

it("a listener of the same page that did not ask is given only what is new", async () => {
  await world.stack.send("desk", "e", "old");
  const count = `
    window.seen.now = [];
    jQuery(document).on("now-message", (event, { payload }) => window.seen.now.push({ payload }));
  `;
  const now = { 2: "desk", 3: "*", 4: "now-message", 13: "NOW" };
  const spec = listening({ 2: "desk", 13: "LAST", 15: '{"last": 2}' });
  const [ready] = spec.actions;
  const actions = [
    { ...ready!, actions: [{ script: count }, ...ready!.actions, { listener: now }] },
  ];
  const tab = await Tab.open(world, { ...spec, actions });
  expect(await tab.payloadCount(1)).toEqual(["old"]);
  await tab.sees("statuses", { state: "subscribed", channel: "desk" });
  await world.stack.send("desk", "e", "new");
  await tab.sees("now", { payload: "new" });
  expect(await tab.payloadCount(2)).toEqual(["old", "new"]);
  expect(await tab.seen("now")).toEqual([{ payload: "new" }]);
  expect(await tab.problems()).toEqual([]);
});

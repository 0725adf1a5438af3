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
  const { inspection } = world.stack.service.relay!;
  const seq = () => inspection.positionBehind(channel, 0).seq;
  // Some more than a channel keeps: what was sent just before may still be on its way.
  const after = seq() + 1010;
  await world.stack.burst(channel, 1010);
  await until("all of it has come", () => seq() >= after);
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

it("what a Broadcast action with Retain has sent is the state of pages that are opened later", async () => {
  const action = (retain: object) => ({
    3: "sign",
    4: "text",
    7: "JSON",
    9: '{"n": 1}',
    ...retain,
  });
  const sends = listening(
    { 2: "sign" },
    {
      buttons: ["KEPT", "NOT_KEPT"],
      actions: [
        { event: "click", on: "#KEPT", actions: [{ broadcast: action({ 14: "3600" }) }] },
        { event: "click", on: "#NOT_KEPT", actions: [{ broadcast: action({}) }] },
      ],
    },
  );
  const sender = await Tab.open(world, sends);
  await sender.subscribed("sign");
  const late = async () => {
    await busy("sign");
    const tab = await Tab.open(world, listening({ 2: "sign", 3: "text", 13: "LAST:NOW" }));
    await tab.sees("statuses", { channel: "sign" });
    await world.stack.send("sign", "text", "end");
    await tab.page.waitForFunction(() => {
      const messages = (window.seen.messages ?? []) as { payload: unknown }[];
      return messages.some(({ payload }) => payload === "end");
    });
    return tab.payloads();
  };
  await sender.page.click("#KEPT");
  await sender.payloadCount(1);
  expect(await late()).toEqual([{ n: 1 }, "end"]);
  await sender.page.click("#NOT_KEPT");
  await until("it is sent", async () => {
    return (await sender.payloads()).filter((payload) => typeof payload === "object").length === 2;
  });
  expect(await late()).toEqual(["end"]);
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

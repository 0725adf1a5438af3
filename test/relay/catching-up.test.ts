/** A page that waits until its node has caught up with the log is not read meanwhile, but it can be sent away. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import { relayFor } from "./publish-support.ts";
import { Client, testConfig } from "./support.ts";

/** A log that many nodes share, as far as a page can see: this node does not know where it ends. */
function sharedLog(caughtUp: () => Promise<boolean>): MemoryLog {
  const { duplicates } = testConfig();
  const log = new MemoryLog({ duplicates, clock: () => performance.now() });
  return Object.assign(log, { keepsHeads: true, caughtUp });
}

/** From here on no timer fires: whoever is told to go and answers is gone by that alone. */
async function relayWithoutTimers(messageLog: MemoryLog) {
  const relay = await relayFor({}, { messageLog });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  return relay;
}

const since = { epoch: "of-another-life", seq: 1 };
const PAGES = {
  "rtm.v1": (relay: { port: number }) =>
    Client.connect(relay, { subscribe: [{ channel: "public", since }] }),
  "plain URL": (relay: { port: number }) =>
    Client.open(relay, `/ws?channel=public&since=${since.epoch}:${since.seq}`),
};

describe.each(Object.keys(PAGES) as (keyof typeof PAGES)[])("a page that waits (%s)", (kind) => {
  it("is gone as soon as it has answered the close frame", { timeout: 10_000 }, async () => {
    const relay = await relayWithoutTimers(sharedLog(async () => false));
    const page = await PAGES[kind](relay);
    expect((await page.end()).code).toBe(4000);
  });

  it("also when it is closed for another reason meanwhile", { timeout: 10_000 }, async () => {
    let asked = () => {};
    const asking = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const log = sharedLog(() => {
      asked();
      return new Promise(() => {});
    });
    const relay = await relayWithoutTimers(log);
    const page = await PAGES[kind](relay);
    await asking;
    relay.setServing(false);
    expect((await page.end()).code).toBe(4005);
  });
});

/** Rights over real sockets: what ends a grant ends what it granted. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, SOURCE, startTestRelay, token } from "./support.ts";

let relay: Relay;
afterEach(async () => {
  vi.restoreAllMocks();
  await relay.close();
});

/** Sets the wall clock of this process forward; timers do not notice. */
function setClockForward(ms: number): void {
  const now = Date.now;
  vi.spyOn(Date, "now").mockImplementation(() => now() + ms);
}

const HOUR = 3_600_000;

describe("a channel whose only token has ended", () => {
  it("is not heard any more, whatever was sent in the moment of its end", async () => {
    relay = await startTestRelay({ publicChannels: [] });
    const client = await Client.connect(relay, {
      token: await token(["hr"], { lifetimeMs: HOUR }),
      subscribe: [{ channel: "hr" }],
    });
    await client.nextN(2);
    client.send({ op: "refresh", token: await token(["pub2"], { lifetimeMs: 2 * HOUR }) });
    expect(await client.next()).toMatchObject({ op: "refreshed" });
    setClockForward(HOUR + 1000);
    client.send({ op: "subscribe", subscribe: [] });
    client.send({ op: "refresh", token: await token(["pub2"], { lifetimeMs: 3 * HOUR }) });
    client.send({ op: "subscribe", subscribe: [{ channel: "pub2" }] });
    expect(await client.nextN(3)).toMatchObject([
      { op: "unsubscribed", channel: "hr", code: "token_expired" },
      { op: "refreshed" },
      { op: "subscribed", channel: "pub2" },
    ]);
    await relay.publisher.publish([message("hr", "secret"), message("pub2", "open")], SOURCE);
    expect(await client.next()).toMatchObject({ channel: "pub2" });
    await client.close();
  });

  it("ends by itself within a second or two when the clock is set forward", async () => {
    relay = await startTestRelay({ publicChannels: [] });
    const rights = async (channel: string, lifetimeMs: number) => ({
      token: await token([channel], { lifetimeMs }),
      subscribe: [{ channel }],
    });
    const client = await Client.connect(relay, await rights("hr", HOUR));
    await client.nextN(2);
    client.send({ op: "subscribe", ...(await rights("pub2", 2 * HOUR)) });
    await client.nextN(2);
    const plain = await Client.open(relay, `/ws?channel=hr&token=${await token(["hr"])}`);
    setClockForward(HOUR + 1000);
    expect(await client.next()).toEqual({
      op: "unsubscribed",
      channel: "hr",
      code: "token_expired",
    });
    expect(await plain.end()).toMatchObject({ code: 4100 });
    await client.close();
  });
});

describe("tokens with many channels", () => {
  it("are refused above limits.tokenChannels, alone and together", async () => {
    relay = await startTestRelay({ limits: { tokenChannels: 3 } });
    const four = await token(["a", "b", "c", "d"]);
    const refused = await Client.connect(relay, { token: four });
    expect(await refused.end()).toMatchObject({ code: 4206 });
    const plain = await Client.open(relay, `/ws?channel=a&token=${four}`);
    expect(await plain.end()).toMatchObject({ code: 4206 });
    const client = await Client.connect(relay, { token: await token(["a", "b"]) });
    await client.next();
    for (const channels of [
      ["a", "b", "c", "d"],
      ["c", "d"],
    ]) {
      client.send({ op: "refresh", token: await token(channels) });
      expect(await client.next()).toMatchObject({
        op: "error",
        code: "token_limit",
        message: expect.stringContaining("limits.tokenChannels"),
      });
    }
    client.send({ op: "refresh", token: await token(["b", "c"]) });
    expect(await client.next()).toMatchObject({ op: "refreshed" });
    await client.close();
  });

  it("cost no memory or time when they say the same again", async () => {
    relay = await startTestRelay({
      limits: { tokenChannels: 5000, frameBytes: "1MiB", commandsPerSecond: 1000 },
    });
    const channels = Array.from({ length: 4001 }, (_, n) => `c${n}`);
    const client = await Client.connect(relay, { token: await token(channels) });
    await client.next();
    const again = await Promise.all(
      Array.from({ length: 60 }, (_, n) => token(channels, { lifetimeMs: 60_000 + n * 1000 })),
    );
    const before = process.cpuUsage();
    for (const text of again) client.send({ op: "refresh", token: text });
    for (const frame of await client.nextN(60)) expect(frame).toMatchObject({ op: "refreshed" });
    const { user, system } = process.cpuUsage(before);
    // It was 18.9 s; the bound is far from what it takes now, and far from that.
    expect((user + system) / 1e6).toBeLessThan(6);
    await client.close();
  });
});

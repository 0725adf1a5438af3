/** What a crowd costs those who watch it, by a hand clock: the same on every machine. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RateLimitedLog } from "../../common/logger.ts";
import type { Grant } from "../../relay/access/claims.ts";
import type { Hub } from "../../relay/channels/hub.ts";
import type { Outlet, Subscription } from "../../relay/channels/outlet.ts";
import { MESSAGE } from "../../relay/channels/view.ts";
import type { Fact } from "../../relay/log/fact.ts";
import { Presence } from "../../relay/presence/presence.ts";
import { frameText } from "../../relay/wire/frame.ts";
import { log, testConfig } from "./support.ts";

const ROOM = "room:7";
const LISTED = 50;
const EARLY = 60;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const grant = {
  issuedAt: 0,
  endsAt: Number.POSITIVE_INFINITY,
  presence: { join: ["*"], watch: ["*"], info: undefined },
} as unknown as Grant;

interface Told {
  readonly count: number;
  readonly listed?: boolean;
}

function watching(): { told: Told[]; subscription: Subscription } {
  const told: Told[] = [];
  const controls = ({ frames }: { frames: readonly Buffer[] }) => {
    for (const frame of frames) told.push(JSON.parse(frameText(frame).toString()));
  };
  const outlet = { dead: false, view: MESSAGE, held: 0, controls } as unknown as Outlet;
  const channel = { name: ROOM };
  const subscription = { channel, outlet, view: MESSAGE, state: "live", cursor: 0 };
  return { told, subscription: subscription as unknown as Subscription };
}

it("1,000 who join a counted channel within a second cost each who watches at most six frames", async () => {
  const presence: Presence = new Presence({
    config: testConfig({ presence: { rules: [{ channels: "*" }], members: LISTED } }),
    hub: { flush: () => {}, connectionBytes: 1_000_000 } as unknown as Hub,
    messageLog: {
      note: async (batch) =>
        batch.map((notice) => {
          presence.apply(notice as Fact);
          return { status: "accepted" } as const;
        }),
      caughtUp: async () => true,
    },
    log,
    warnings: new RateLimitedLog(log),
    clock: () => performance.now(),
    shared: false,
  });
  presence.reset([], "start");
  presence.current(true);
  const enter = (user: string) => presence.join({ channel: ROOM, user, grant });
  const watchers = Array.from({ length: EARLY }, (_, n) => {
    enter(`early ${n}`);
    return watching();
  });
  for (const watcher of watchers) presence.watch(watcher);
  await vi.advanceTimersByTimeAsync(2_000);
  for (const { told } of watchers) expect(told.splice(0).at(-1)?.count).toBe(EARLY);
  for (let n = 0; n < 1_000; n++) {
    enter(`late ${n}`);
    await vi.advanceTimersByTimeAsync(1);
  }
  await vi.advanceTimersByTimeAsync(2_000);
  for (const { told } of watchers) {
    expect(told.at(-1)).toMatchObject({ count: EARLY + 1_000, listed: false });
    expect(told.length).toBeLessThanOrEqual(6);
    expect(told.length).toBeGreaterThan(1);
  }
  presence.stop();
});

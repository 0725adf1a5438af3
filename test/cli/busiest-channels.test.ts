/** The console's table of channels, by a hand clock. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BusiestChannels } from "../../cli/console/busiest-channels.ts";
import type { ChannelFigures } from "../../relay/inspection.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const NOTHING = {
  ...{ seq: undefined, subscriptions: 0, members: undefined },
  ...{ kept: 0, keptBytes: 0, retained: 0, retainedBytes: 0 },
};

it("a channel that is forgotten but for a last value stands still, and so it does when it is back", () => {
  const busiest = new BusiestChannels(10);
  const look = (wall: Partial<ChannelFigures>) => {
    vi.advanceTimersByTime(2000);
    const channels = [
      { ...NOTHING, channel: "sales", seq: 1, kept: 1 },
      { ...NOTHING, channel: "wall", retained: 1, retainedBytes: 99, ...wall },
    ];
    const rows = busiest.rows({
      *channels() {
        yield* channels;
      },
    });
    return rows.find(({ channel }) => channel === "wall");
  };
  expect(look({ seq: 3, kept: 3 })).toMatchObject({ rate: null, seq: 3 });
  expect(look({ seq: 5, kept: 5 })).toMatchObject({ rate: 1, seq: 5 });
  expect(look({})).toMatchObject({ rate: 0, seq: null, retained: 1, retainedBytes: 99 });
  // Numbers go on above all that were forgotten.
  expect(look({ seq: 4001, kept: 1 })).toMatchObject({ rate: 0.5 });
});

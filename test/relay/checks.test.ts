/** What is checked of a message, whichever way it comes in. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { channelPrefix, encodeMessage } from "../../relay/channels/encode.ts";
import { nameProblem } from "../../relay/contract/message.ts";
import { encodedBytes, MessageChecks } from "../../relay/log/checks.ts";
import { textBytes } from "../../relay/wire/frame.ts";
import { message, post, SOURCE, startTestRelay } from "./support.ts";

const name = fc
  .string({ minLength: 1, maxLength: 128, unit: "grapheme" })
  .filter((text) => nameProblem(text) === undefined);

describe("the size of a message", () => {
  it("is that of its text with the longest number, whatever its characters", () => {
    fc.assert(
      fc.property(
        name,
        name,
        name,
        fc.string({ unit: "grapheme" }),
        (channel, eventName, id, text) => {
          const sent = message(channel, text, { eventName, id });
          const entry = encodeMessage(sent, channelPrefix(channel), Number.MAX_SAFE_INTEGER, 0);
          expect(encodedBytes(sent)).toBe(textBytes(entry.frame));
        },
      ),
    );
  });

  it("is refused above the limit to the byte, and does not depend on the number", () => {
    const checks = new MessageChecks(4096);
    const sent = (length: number) => message("c", "ü".repeat(length));
    const most = Math.floor((4096 - encodedBytes(sent(0))) / 2);
    expect(checks.problemOf(sent(most))).toBeUndefined();
    expect(checks.problemOf(sent(most + 1))).toMatchObject({ code: "message_too_large" });
    expect(checks.problemOf(sent(1_000_000))).toMatchObject({ code: "message_too_large" });
  });
});

describe("members", () => {
  it.each([
    [{ channel: "a*" }, "bad_channel"],
    [{ channel: 7 as never }, "bad_channel"],
    [{ eventName: "" }, "bad_event_name"],
    [{ id: "x".repeat(129) }, "bad_id"],
    [{ ts: -1 }, "bad_ts"],
    [{ ts: Number.NaN }, "bad_ts"],
  ])("%j is %s", (more, code) => {
    const checks = new MessageChecks(4096);
    for (let time = 0; time < 2; time++) {
      expect(checks.problemOf(message("c", 1, more))).toMatchObject({ code });
    }
    expect(checks.problemOf(message("c", 1))).toBeUndefined();
  });
});

it("a refused message makes no channel, from REST as from a worker", async () => {
  const relay = await startTestRelay();
  const large = "x".repeat(2 ** 20);
  expect((await post(relay, { channel: "c", payload: large })).status).toBe(413);
  expect(await relay.publisher.publish([message("c", large)], SOURCE)).toMatchObject([
    { status: "rejected", code: "message_too_large" },
  ]);
  expect(await relay.registry.metrics()).toContain("rtm_relay_channels 0");
  await relay.close();
});

/** The client's way without WebSockets against a relay, without a page. */
import { afterEach, describe, expect, it } from "vitest";
import { HttpSocket } from "../../../apex-plugins/client/http-socket.ts";
import type { Relay } from "../../../relay/relay.ts";
import { message, SOURCE, startTestRelay } from "../../relay/support.ts";
import { Arrivals } from "./kit.ts";

let relay: Relay;
let socket: HttpSocket;

afterEach(async () => {
  socket.abandon();
  await relay.close();
});

interface Told {
  readonly op?: string;
  readonly channel?: string;
  readonly eventName?: string;
  readonly recovered?: boolean;
  readonly seq?: number;
}

function open(via: "stream" | "poll"): Arrivals<Told> {
  const frames = new Arrivals<Told>();
  const http = {
    watched: () => true,
    stored: () => via,
    store() {},
    slot: async () => () => {},
  };
  const handlers = {
    open() {},
    frame: (text: string) => frames.push(JSON.parse(text)),
    close: (code: number) => frames.push({ op: `closed with ${code}` }),
  };
  socket = new HttpSocket(http, `ws://127.0.0.1:${relay.port}/ws`, handlers, via, () => {});
  return frames;
}

const publish = (...events: string[]) =>
  relay.publisher.publish(
    events.map((eventName) => message("public", 0, { eventName })),
    SOURCE,
  );

const send = (op: string, entry: object) =>
  socket.send(JSON.stringify({ op, subscribe: [{ channel: "public", ...entry }] }));

describe.each(["stream", "poll"] as const)("over %s", (via) => {
  it("asks for the filter each time", async () => {
    relay = await startTestRelay();
    const frames = open(via);
    send("connect", { events: ["a"] });
    await frames.until(({ op }) => op === "subscribed");
    for (let round = 0; round < 3; round++) {
      await publish("b", "a", "b");
      expect(await frames.until(({ op }) => op === undefined)).toMatchObject({ eventName: "a" });
    }
    const events = frames.all.map(({ eventName }) => eventName).filter(Boolean);
    expect(events).toEqual(["a", "a", "a"]);
  });

  it("asks for the newest until they are in, and then goes on by position", async () => {
    relay = await startTestRelay({ history: { count: 3 } });
    await publish("a", "b", "a");
    const frames = open(via);
    send("connect", { since: { last: 1 } });
    const seqs = async (count: number) => {
      const messages: (number | undefined)[] = [];
      while (messages.length < count) {
        messages.push((await frames.until(({ op }) => op === undefined)).seq);
      }
      return messages;
    };
    expect(await seqs(2)).toEqual([2, 3]);
    // Asked anew for all: what was given does not come again.
    send("subscribe", { channel: "public-other" });
    await frames.until(({ op, channel }) => op === "subscribed" && channel === "public-other");
    await publish("a");
    expect(await seqs(1)).toEqual([4]);
    socket.abandon();
    const answers = frames.all.filter(
      ({ op, channel }) => op === "subscribed" && channel === "public",
    );
    expect(answers.map(({ recovered }) => recovered)).toEqual([false]);
  });
});

it("more of the newest than fit into a poll's answer are told as a loss, not asked for for ever", async () => {
  relay = await startTestRelay();
  const text = "x".repeat(100 * 1024);
  const big = ["a", "b", "c", "d"].map((eventName) => message("public", text, { eventName }));
  await relay.publisher.publish(big, SOURCE);
  const frames = open("poll");
  send("connect", { since: { last: 1 } });
  await frames.until(({ op, seq }) => op === "subscribed" && seq === 4);
  await frames.until(({ op }) => op === "subscribed");
  await publish("e");
  expect(await frames.until(({ eventName }) => eventName === "e")).toMatchObject({ seq: 5 });
  const told = frames.all.filter(({ op }) => op === undefined).map(({ seq }) => seq);
  expect(new Set(told).size).toBe(told.length);
});

it("a stream goes on where a position frame says, however much the filter has left out", async () => {
  relay = await startTestRelay({ history: { count: 10 }, heartbeat: { interval: "1s" } });
  const frames = open("stream");
  send("connect", { events: ["a"] });
  await frames.until(({ op }) => op === "subscribed");
  await publish(...new Array(25).fill("b"));
  await frames.until(({ op }) => op === "position");
  // Another channel makes it ask anew for all.
  send("subscribe", { channel: "public-other" });
  await frames.until(({ op, channel }) => op === "subscribed" && channel === "public-other");
  await publish("a");
  await frames.until(({ eventName }) => eventName === "a");
  const answers = frames.all.filter(
    ({ op, channel }) => op === "subscribed" && channel === "public",
  );
  // Only the first one, which asked for no position, is not recovered.
  expect(answers.map(({ recovered }) => recovered)).toEqual([false]);
});

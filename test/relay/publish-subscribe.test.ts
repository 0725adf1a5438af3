import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, post, SOURCE, startTestRelay, token } from "./support.ts";

describe.each(["direct", "joined", "public"] as const)(
  "publish and subscribe (wire: %s)",
  (wire) => {
    let relay: Relay;

    beforeEach(async () => {
      relay = await startTestRelay({}, { wire });
    });
    afterEach(() => relay.close());

    it("delivers messages in order, byte for byte, with the keys in their order", async () => {
      const client = await Client.connect(relay, {
        token: await token(["sales"]),
        subscribe: [{ channel: "sales" }],
      });
      expect(await client.next()).toMatchObject({ op: "connected", protocol: "rtm.v1" });
      expect(await client.next()).toMatchObject({ op: "subscribed", seq: 0, recovered: false });
      const first = message("sales", 0, { payload: '{"amount": 9007199254740993}', id: "a1" });
      expect(await relay.publisher.publish([first, message("sales", [2])], SOURCE)).toEqual([
        { status: "accepted", recipients: 1 },
        { status: "accepted", recipients: 1 },
      ]);
      expect(await client.nextText()).toBe(
        `{"channel":"sales","eventName":"event","payload":{"amount": 9007199254740993},"id":"a1","seq":1,"ts":${first.ts}}`,
      );
      expect(await client.next()).toMatchObject({ payload: [2], seq: 2 });
      await client.close();
    });

    it("replays what was missed and goes on live", async () => {
      const rights = await token(["sales"]);
      await relay.publisher.publish(
        [1, 2, 3].map((n) => message("sales", n)),
        SOURCE,
      );
      const first = await Client.connect(relay, {
        token: rights,
        subscribe: [{ channel: "sales" }],
      });
      await first.next();
      const { epoch, seq } = await first.next();
      expect(seq).toBe(3);
      await first.close();
      await relay.publisher.publish(
        [4, 5].map((n) => message("sales", n)),
        SOURCE,
      );
      const second = await Client.connect(relay, {
        token: rights,
        subscribe: [{ channel: "sales", since: { epoch, seq } }],
      });
      await second.next();
      expect(await second.next()).toMatchObject({ op: "subscribed", seq: 5, recovered: true });
      await relay.publisher.publish([message("sales", 6)], SOURCE);
      expect((await second.nextN(3)).map((frame) => frame.payload)).toEqual([4, 5, 6]);
      await second.close();
    });

    it("takes posts, with the payload's text as it was written", async () => {
      const client = await Client.open(relay, "/ws?channel=public&format=payload");
      const body = '{"channel":"public","event_name":"x","payload": [1.50, 9007199254740993] }';
      expect((await post(relay, body)).body).toMatchObject({ ok: true, recipients: 1 });
      expect(await client.nextText()).toBe("[1.50, 9007199254740993]");
      await client.close();
    });
  },
);

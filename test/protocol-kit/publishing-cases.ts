/** What servers send: by POST and over the publishing socket. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Frame, urlOf } from "./client.ts";
import type { Kit } from "./kit-world.ts";

export function describePublishing({
  get,
  unique,
  privateChannel,
  token,
  open,
  connect,
  subscriber,
  publish,
}: Kit): void {
  describe("publishing socket", () => {
    const publisher = async () => {
      const options = { protocol: "rtm.publish.v1", headers: { "x-api-key": get().apiKey } };
      const socket = await open("/api/publish", options);
      return { socket, ready: await socket.next() };
    };

    it("is open to keys only", async () => {
      await expect(open("/api/publish", { protocol: "rtm.publish.v1" })).rejects.toThrow("401");
      const key = encodeURIComponent(get().apiKey);
      const inUrl = open(`/api/publish?x-api-key=${key}`, { protocol: "rtm.publish.v1" });
      await expect(inUrl).rejects.toThrow("401");
    });

    it("answers each frame with its number, in order, as a POST is answered", async () => {
      const channel = privateChannel();
      const { socket, ready } = await publisher();
      expect(ready).toMatchObject({ op: "ready", protocol: "rtm.publish.v1" });
      expect(ready.window).toBeGreaterThan(0);
      const reader = await subscriber([channel]);
      const id = randomUUID();
      socket.send({
        op: "publish",
        n: 5,
        messages: [{ channel, id, payload: 1 }, { channel: "*" }],
      });
      socket.send({ op: "publish", n: 5, messages: [{ channel, id, payload: 1 }] });
      expect(await socket.nextN(2)).toMatchObject([
        {
          op: "results",
          n: 5,
          results: [
            { ok: true, id },
            { ok: false, code: "bad_channel" },
          ],
        },
        { op: "results", n: 5, results: [{ ok: true, id, duplicate: true }] },
      ]);
      expect((await publish({ channel, id, payload: 1 })).body).toMatchObject({ duplicate: true });
      await publish({ channel, payload: 2 });
      expect((await reader.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    });

    it("takes nothing behind a refused frame before resume", async () => {
      const channel = privateChannel();
      const { socket } = await publisher();
      const one = { op: "publish", n: 2, messages: [{ channel }] };
      socket.send({ op: "publish", n: 1, messages: [1] });
      socket.send(one);
      socket.send({ op: "resume" });
      socket.send({ ...one, n: 3 });
      expect(await socket.nextN(3)).toMatchObject([
        { op: "refused", n: 1, code: "bad_json" },
        { op: "refused", n: 2, code: "unavailable" },
        { op: "results", n: 3, results: [{ ok: true }] },
      ]);
    });

    it("closes after what is no frame", async () => {
      const { socket } = await publisher();
      socket.ws.send("{}");
      expect((await socket.end()).code).toBe(4200);
    });
  });

  describe("REST", () => {
    it("takes event_name, the default event, and no payload", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      await publish({ channel, event_name: "alias", payload: {} });
      await publish({ channel });
      expect(await client.next()).toMatchObject({ eventName: "alias", payload: {} });
      expect(await client.next()).toMatchObject({ eventName: "message", payload: null });
    });

    it("answers an array with one result per message", async () => {
      const channel = privateChannel();
      const { status, body } = await publish([
        { channel, payload: 1 },
        { channel: "no*", payload: 2 },
        { channel, eventName: 3 },
      ]);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        ok: false,
        results: [
          { ok: true, recipients: 0, id: expect.any(String) },
          { ok: false, code: "bad_channel" },
          { ok: false, code: "bad_event_name" },
        ],
      });
    });

    it("does not send an id twice, and says duplicate", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const id = randomUUID();
      expect((await publish({ channel, id, payload: 1 })).body).toEqual({
        ok: true,
        id,
        recipients: 1,
      });
      const again = await publish({ channel, id, payload: 1 });
      expect(again.body).toMatchObject({ ok: true, id, duplicate: true });
      await publish({ channel, payload: 2 });
      expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    });

    it.each([
      ["bad_channel", 400, '{"payload":1}'],
      ["bad_channel", 400, '{"channel":7}'],
      ["bad_channel", 400, `{"channel":"${"x".repeat(129)}"}`],
      ["bad_event_name", 400, '{"channel":"c","eventName":""}'],
      ["bad_id", 400, '{"channel":"c","id":"a\\nb"}'],
      ["bad_id", 400, '{"channel":"c","id":5}'],
      ["bad_ts", 400, '{"channel":"c","ts":"now"}'],
      ["bad_ts", 400, '{"channel":"c","ts":1.5}'],
      ["bad_json", 400, ""],
      ["bad_json", 400, '{"channel":'],
      ["bad_json", 400, '"text"'],
      ["bad_json", 400, "null"],
      ["bad_json", 400, "[1]"],
      ["bad_json", 400, '[{"channel":"c"},null]'],
    ])("answers %s (%i) to %s", async (code, status, text) => {
      const answer = await publish(text);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ ok: false, code, message: expect.any(String) });
    });

    it("answers message_too_large above limits.messageBytes, and takes what is just below", async () => {
      const channel = privateChannel();
      const client = await connect({ token: await token([channel]) });
      const { limits } = (await client.next()) as { limits: { messageBytes: number } } & Frame;
      const tooLarge = await publish({ channel, payload: "x".repeat(limits.messageBytes) });
      expect(tooLarge).toMatchObject({ status: 413, body: { code: "message_too_large" } });
      const fits = await publish({ channel, payload: "x".repeat(limits.messageBytes - 600) });
      expect(fits.status).toBe(200);
    });

    it("answers batch_too_large to too many messages, and takes none of them", async ({ skip }) => {
      const { tooManyMessages } = get();
      if (tooManyMessages === undefined) return skip();
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const batch = Array.from({ length: tooManyMessages }, () => ({ channel, payload: "no" }));
      const { status, body } = await publish(batch);
      expect([status, body.ok, body.code]).toEqual([413, false, "batch_too_large"]);
      await publish({ channel, payload: "yes" });
      expect(await client.next()).toMatchObject({ payload: "yes" });
    });

    it("answers unauthorized without a known key", async () => {
      for (const key of ["", "unknown-key-0123456789"]) {
        const answer = await publish({ channel: "c" }, { "x-api-key": key });
        expect(answer).toMatchObject({ status: 401, body: { ok: false, code: "unauthorized" } });
      }
    });

    it("keeps a key to its channels, and takes id and ts from trusted keys only", async ({
      skip,
    }) => {
      const { limitedKey, privatePrefix } = get();
      if (limitedKey === undefined) skip("no limited key was given");
      const headers = { "x-api-key": limitedKey as string };
      const forbidden = await publish({ channel: `${privatePrefix}closed` }, headers);
      expect(forbidden).toMatchObject({ status: 403, body: { code: "channel_forbidden" } });
      const channel = unique(`${privatePrefix}open`);
      const client = await subscriber([channel]);
      // Refused as a whole: the client below gets the next message as its first.
      const keep = { ...headers, "x-rtm-ids": "keep" };
      const untrusted = await publish([{ channel, id: "mine" }], keep);
      expect(untrusted).toMatchObject({ status: 403, body: { code: "key_not_trusted" } });
      const { body } = await publish({ channel, id: "mine", ts: 1 }, headers);
      expect(body.id).not.toBe("mine");
      const frame = await client.next();
      expect(frame.id).toBe(body.id);
      expect(frame.ts).toBeGreaterThan(1);
    });

    it("answers unsupported_media_type to anything but JSON", async () => {
      const type = { "content-type": "text/plain" };
      const plain = await publish({ channel: "c" }, type);
      expect(plain).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
      const charset = { "content-type": "application/json; charset=utf-8" };
      expect((await publish({ channel: "c" }, charset)).status).toBe(200);
    });

    it("answers bad_json to invalid UTF-8", async () => {
      const bytes = Buffer.from('{"channel":"c","payload":"\xff"}', "latin1");
      expect(await publish(bytes)).toMatchObject({ status: 400, body: { code: "bad_json" } });
    });

    it("answers the predecessor's health text, /healthz and /readyz", async () => {
      const url = urlOf(get().target);
      const get_ = async (path: string) => {
        const response = await fetch(url + path);
        return { status: response.status, text: await response.text() };
      };
      expect(await get_("/")).toEqual({
        status: 200,
        text: "RTM WebSocket / REST bridge is running",
      });
      expect((await get_("/healthz")).status).toBe(200);
      expect(await get_("/readyz")).toEqual({ status: 200, text: '{"ready":true}' });
    });
  });
}

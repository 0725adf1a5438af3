/** The relay's end of `rtm.publish.v1` (docs/protocol.md, "Publishing socket"). */
import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { frame, item, moodyLog, openPublisher, readerOf, relayFor } from "./publish-support.ts";
import { API_KEY, Client, type Frame, post, testConfig, token, until } from "./support.ts";

const results = (answer: Frame) => answer.results as Record<string, unknown>[];

async function metric(relay: Awaited<ReturnType<typeof relayFor>>, name: string) {
  const text = await relay.registry.metrics();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

/** The answer to a handshake that becomes no socket. */
async function refusal(
  relay: { port: number },
  headers: Record<string, string>,
  path = "/api/publish",
) {
  const call = request({
    port: relay.port,
    host: "127.0.0.1",
    path,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-protocol": "rtm.publish.v1",
      ...headers,
    },
  }).end();
  const [response] = await once(call, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode as number, headers: response.headers, text };
}

describe("publishing socket", () => {
  it("says what it takes, carries payloads byte for byte, and answers in order", async () => {
    const relay = await relayFor();
    const reader = await readerOf(relay);
    const { publisher, ready } = await openPublisher(relay);
    expect(ready).toEqual({
      op: "ready",
      protocol: "rtm.publish.v1",
      window: 32,
      pingMs: 25_000,
      limits: { batchMessages: 1000, batchBytes: 8 * 1024 * 1024, messageBytes: 1024 * 1024 },
    });
    const exact = '{"channel":"public","id":"a","ts":7,"payload":{"n": 9007199254740993,"d":1.10}}';
    publisher.ws.send(`{"op":"publish","n":17,"messages":[${exact}, {"channel":"pub*lic"}]}`);
    publisher.send(frame(3));
    publisher.send(frame(17, item(2)));
    const [first, empty, last] = await publisher.nextN(3);
    expect(first).toEqual({
      op: "results",
      n: 17,
      results: [
        { ok: true, id: "a", recipients: 1 },
        { ok: false, code: "bad_channel", message: expect.any(String) },
      ],
    });
    expect(empty).toEqual({ op: "results", n: 3, results: [] });
    expect(last).toMatchObject({ op: "results", n: 17, results: [{ ok: true, id: "id-2" }] });
    expect(await reader.nextText()).toBe(
      '{"channel":"public","eventName":"message","payload":{"n": 9007199254740993,"d":1.10},"id":"a","seq":1,"ts":7}',
    );
    expect(await reader.next()).toMatchObject({ id: "id-2", seq: 2 });
  });

  it("takes a frame however it is laid out, and members of later versions", async () => {
    const relay = await relayFor();
    const { publisher } = await openPublisher(relay);
    publisher.ws.send(
      '{ "later": [{}], "messages": [\n{"channel":"public","payload": 1.0 }] , "n":1, "op":"publish" }',
    );
    publisher.ws.send('{"op":"publish","n":2,"messages":[{"channel":"public"}],"later":[1]}');
    expect((await publisher.nextN(2)).map(({ op, n }) => [op, n])).toEqual([
      ["results", 1],
      ["results", 2],
    ]);
    publisher.send({ op: "later", n: 3 });
    expect(await publisher.next()).toMatchObject({ op: "error", code: "unknown_op" });
    publisher.send(frame(4, item(4)));
    expect(await publisher.next()).toMatchObject({ op: "results", n: 4 });
  });

  it("drops what the same key has posted before, and the other way round", async () => {
    const relay = await relayFor();
    const reader = await readerOf(relay);
    const { publisher } = await openPublisher(relay);
    await post(relay, item(1));
    publisher.send(frame(1, item(1), item(2)));
    expect(results(await publisher.next())).toMatchObject([
      { ok: true, duplicate: true },
      { ok: true, id: "id-2" },
    ]);
    expect((await post(relay, item(2))).body).toMatchObject({ ok: true, duplicate: true });
    expect((await reader.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
  });

  it("takes control items in their place among messages", async () => {
    const relay = await relayFor({
      apiKeys: [{ name: "worker", key: API_KEY, trusted: true, scopes: ["publish", "manage"] }],
    });
    const reader = await Client.connect(relay, {
      token: await token(["sales"]),
      subscribe: [{ channel: "sales" }],
    });
    await reader.nextN(2);
    const { publisher } = await openPublisher(relay);
    const sale = (n: number) => item(n, { channel: "sales" });
    publisher.send(frame(1, sale(1), { op: "revoke", user: "scott" }, sale(2)));
    expect(results(await publisher.next()).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(await reader.next()).toMatchObject({ payload: 1 });
    expect((await reader.end()).code).toBe(4103);
  });

  it("refuses whoever has no key, before there is a socket, and never reads it from the URL", async () => {
    const relay = await relayFor({
      apiKeys: [
        { name: "worker", key: API_KEY, trusted: true },
        { name: "other", key: "another-key-0123456789" },
      ],
    });
    const unauthorized = { status: 401, text: expect.stringContaining('"unauthorized"') };
    expect(await refusal(relay, {})).toMatchObject(unauthorized);
    expect(await refusal(relay, { "x-api-key": "wrong-key-0123456789" })).toMatchObject(
      unauthorized,
    );
    const query = `x-api-key=${API_KEY}&apiKey=${API_KEY}&token=${API_KEY}`;
    expect(await refusal(relay, {}, `/api/publish?${query}`)).toMatchObject(unauthorized);
    const other = { "x-api-key": "another-key-0123456789", "x-rtm-ids": "keep" };
    const untrusted = await refusal(relay, other);
    expect(untrusted).toMatchObject({ status: 403 });
    expect(JSON.parse(untrusted.text)).toMatchObject({ ok: false, code: "key_not_trusted" });
    const page = await refusal(relay, {
      "x-api-key": API_KEY,
      "sec-websocket-protocol": "rtm.v1",
    });
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining("rtm.publish.v1") });
    // Clients' place stays theirs: an access list for /api/ holds for both ways to publish.
    await expect(openPublisher(relay, { "x-api-key": API_KEY }, "/ws")).rejects.toThrow("400");
    const malformed = await refusal(relay, { "x-api-key": API_KEY, "sec-websocket-version": "7" });
    expect(malformed.status).toBe(400);
  });

  it("lets no page publish to an insecure relay", async () => {
    const relay = await relayFor({ insecure: true });
    const page = await refusal(relay, { origin: "https://evil.example.com" });
    expect(page).toMatchObject({ status: 401, text: expect.stringContaining("pages may not") });
    const { publisher } = await openPublisher(relay, {});
    publisher.send(frame(1, item(1)));
    expect(results(await publisher.next())).toMatchObject([{ ok: true }]);
  });

  it("has a bounded number of sockets", async () => {
    const relay = await relayFor({ limits: { publishers: 1 } });
    const { publisher } = await openPublisher(relay);
    expect(await metric(relay, "rtm_relay_publishers")).toBe(1);
    const more = await refusal(relay, { "x-api-key": API_KEY });
    expect(more).toMatchObject({ status: 503, text: expect.stringContaining("limits.publishers") });
    await publisher.close();
    await until("it is gone", async () => (await metric(relay, "rtm_relay_publishers")) === 0);
    await openPublisher(relay);
  });

  it("takes what the key grants, as it is now: keys are read again", async () => {
    const keys = (channels: string[], key = API_KEY) => ({
      apiKeys: [{ name: "worker", key, trusted: true, channels }],
    });
    const relay = await relayFor(keys(["public"]));
    const { publisher } = await openPublisher(relay);
    const say = async (n: number) => {
      publisher.send(frame(n, item(n)));
      return await publisher.next();
    };
    expect(results(await say(1))).toMatchObject([{ ok: true }]);
    relay.reload(testConfig(keys(["sales"])));
    expect(results(await say(2))).toMatchObject([{ code: "channel_forbidden" }]);
    relay.reload(testConfig(keys(["*"], "a-new-key-0123456789")));
    expect(await say(3)).toMatchObject({ op: "refused", n: 3, code: "unauthorized" });
    expect((await publisher.end()).code).toBe(4203);
  });
});

describe("publishing socket: what could not be taken", () => {
  it("nothing behind it is taken before `resume`, however well the relay is again", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const reader = await readerOf(relay);
    const { publisher } = await openPublisher(relay);
    moody.moods.push("take", "refuse");
    publisher.send(frame(1, item(1)));
    expect(results(await publisher.next())).toMatchObject([{ ok: true }]);
    publisher.send(frame(2, item(2), item(3)));
    expect(results(await publisher.next())).toMatchObject([
      { ok: false, code: "unavailable" },
      { ok: false, code: "unavailable" },
    ]);
    // From here on the log takes everything.
    publisher.send(frame(3, item(4)));
    publisher.send(frame(4, item(5)));
    publisher.send({ op: "resume" });
    publisher.send(frame(5, item(2), item(3)));
    const answers = await publisher.nextN(3);
    expect(answers.map(({ op, n, code }) => [op, n, code])).toEqual([
      ["refused", 3, "unavailable"],
      ["refused", 4, "unavailable"],
      ["results", 5, undefined],
    ]);
    expect((await reader.nextN(3)).map(({ payload }) => payload)).toEqual([1, 2, 3]);
    expect(await relay.registry.metrics()).toContain(
      'rtm_relay_publish_frames_total{result="held"} 2',
    );
  });

  it("frames of one write share a turn, and one that fails holds back those behind it", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const { publisher } = await openPublisher(relay);
    let open = () => {};
    moody.gate = new Promise((resolve) => {
      open = resolve;
    });
    publisher.send(frame(0, item(0)));
    await until("the first is at the log", () => moody.appends === 1);
    for (let n = 1; n <= 20; n++) publisher.send(frame(n, item(n)));
    await until("the others have arrived", async () => {
      const text = await relay.registry.metrics();
      return text.includes("rtm_relay_publishers 1") && publisher.ws.bufferedAmount === 0;
    });
    moody.moods.push("refuse");
    open();
    const answers = await publisher.nextN(21);
    expect(answers.map(({ n }) => n)).toEqual(Array.from({ length: 21 }, (_, n) => n));
    expect(results(answers[0] as Frame)).toMatchObject([{ ok: true }]);
    for (const answer of answers.slice(1)) {
      const code = answer.op === "refused" ? answer.code : results(answer)[0]?.code;
      expect(code).toBe("unavailable");
    }
    // Far fewer appends than frames: what waits for the log goes to it together.
    expect(moody.appends).toBeLessThan(10);
  });

  it("a frame that is no list of items is refused as a whole, and holds back those behind it", async () => {
    const relay = await relayFor({ limits: { batchMessages: 3 } });
    const { publisher } = await openPublisher(relay);
    const deep = `${"[".repeat(2000)}${"]".repeat(2000)}`;
    const bad: [text: string, code: string][] = [
      ['{"op":"publish","n":1,"messages":[{"channel":"public","payload":tru}]}', "bad_json"],
      ['{"op":"publish","n":1,"messages":[1]}', "bad_json"],
      ['{"op":"publish","n":1,"messages":[{]}', "bad_json"],
      [`{"op":"publish","n":1,"messages":[{"channel":"public","payload":${deep}}]}`, "bad_json"],
      [JSON.stringify(frame(1, item(1), item(2), item(3), item(4))), "batch_too_large"],
    ];
    for (const [text, code] of bad) {
      publisher.ws.send(text);
      publisher.send(frame(2, item(2)));
      publisher.send({ op: "resume" });
      expect(await publisher.nextN(2)).toMatchObject([
        { op: "refused", n: 1, code },
        { op: "refused", n: 2, code: "unavailable" },
      ]);
    }
    publisher.send(frame(3, item(3)));
    expect(results(await publisher.next())).toMatchObject([{ ok: true, id: "id-3" }]);
  });

  it("the rates of a key hold for both ways together", async () => {
    const apiKeys = [
      { name: "worker", key: API_KEY, trusted: true, itemsPerSecond: 1 },
      { name: "other", key: "another-key-0123456789", itemsPerSecond: 1 },
    ];
    const relay = await relayFor({ apiKeys, limits: { batchMessages: 10 } });
    for (const [key, code, status] of [
      [API_KEY, "unavailable", 503],
      ["another-key-0123456789", "rate_limited", 429],
    ] as const) {
      const { publisher } = await openPublisher(relay, { "x-api-key": key });
      const ten = Array.from({ length: 10 }, (_, n) => item(n));
      publisher.send(frame(1, ...ten));
      publisher.send(frame(2, ...ten));
      const [first, second] = await publisher.nextN(2);
      expect(first).toMatchObject({ op: "results" });
      expect(second).toMatchObject({ op: "refused", code });
      expect(await post(relay, ten, { "x-api-key": key })).toMatchObject({ status });
    }
  });

  it("a relay that stops answers what has arrived, and closes; one in standby too", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const { publisher } = await openPublisher(relay);
    let open = () => {};
    moody.gate = new Promise((resolve) => {
      open = resolve;
    });
    publisher.send(frame(1, item(1)));
    await until("it is at the log", () => moody.appends === 1);
    publisher.send(frame(2, item(2)));
    await until("it has left", () => publisher.ws.bufferedAmount === 0);
    relay.setServing(false);
    open();
    expect(results(await publisher.next())).toMatchObject([{ ok: true }]);
    const { code } = await publisher.end();
    expect(code).toBe(4005);
    for (const text of publisher.received) expect(text).toContain("unavailable");
    const standby = await refusal(relay, { "x-api-key": API_KEY });
    expect(standby).toMatchObject({ status: 503, headers: { "retry-after": "2" } });
    expect(JSON.parse(standby.text)).toMatchObject({ ok: false, code: "unavailable" });

    relay.setServing(true);
    const again = await openPublisher(relay);
    const drained = relay.drain();
    expect((await again.publisher.end()).code).toBe(4000);
    await drained;
  });
});

describe("publishing socket: hostile publishers", () => {
  it("beyond the window nothing is read, whatever comes; all of it is answered in the end", async () => {
    const moody = moodyLog();
    const relay = await relayFor(
      { limits: { batchBytes: "64KiB", messageBytes: "32KiB" } },
      { messageLog: moody.log },
    );
    const { publisher } = await openPublisher(relay);
    let open = () => {};
    moody.gate = new Promise((resolve) => {
      open = resolve;
    });
    const count = 500;
    const payload = "x".repeat(30_000);
    for (let n = 0; n < count; n++) publisher.send(frame(n, item(n, { payload })));
    // 15 MB: more than the kernel keeps for both ends. What is not read stays with the publisher.
    await until("it is at the log", () => moody.appends > 0);
    let before = -1;
    await until("no more is read", () => {
      const left = publisher.ws.bufferedAmount;
      const still = left === before;
      before = left;
      return still;
    });
    expect(before).toBeGreaterThan(1_000_000);
    open();
    const answers = await publisher.nextN(count);
    expect(answers.map(({ n }) => n)).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(answers.every((answer) => results(answer)[0]?.ok)).toBe(true);
  });

  it("who does not read answers is not read any more, and is closed for its silence", async () => {
    const relay = await relayFor({ heartbeat: { interval: "100ms" } });
    const { publisher } = await openPublisher(relay);
    publisher.stopReading();
    // 3 KB each, and an answer of 66 KB.
    const refusedAll = JSON.stringify(frame(1, ...Array.from({ length: 1000 }, () => ({}))));
    const pump = setInterval(() => {
      for (let each = 0; each < 20; each++) publisher.ws.send(refusedAll);
    }, 1);
    try {
      await until("it is closed", async () =>
        (await relay.registry.metrics()).includes(
          'rtm_relay_closes_total{reason="heartbeat_timeout"} 1',
        ),
      );
    } finally {
      clearInterval(pump);
    }
    expect(await metric(relay, "rtm_relay_publishers")).toBe(0);
    publisher.terminate();
  });

  it("who answers no ping is closed; who does stays", async () => {
    const relay = await relayFor({ heartbeat: { interval: "100ms" } });
    const { publisher: silent } = await openPublisher(relay);
    silent.ws.removeAllListeners("ping");
    const socket = silent.ws as unknown as { _autoPong: boolean };
    socket._autoPong = false;
    const { publisher: good } = await openPublisher(relay);
    let pings = 0;
    good.ws.on("ping", () => pings++);
    await silent.end();
    await until("it was asked again and again", () => pings > 5);
    expect(good.closed).toBeUndefined();
    good.send(frame(1, item(1)));
    expect(await good.next()).toMatchObject({ op: "results" });
  });

  it.each([
    ["bytes that are no text", Buffer.from("{}"), 4201],
    ["no JSON", "publish!", 4200],
    ["no object", "[]", 4200],
    ["a frame without a number", '{"op":"publish","messages":[]}', 4200],
    ["a frame without messages", '{"op":"publish","n":1}', 4200],
    ["a frame without op", '{"n":1}', 4200],
    ["a frame above all bounds", JSON.stringify(frame(1, { channel: "x".repeat(70_000) })), 1009],
  ])("%s ends the socket", async (_what, data, code) => {
    const relay = await relayFor({ limits: { batchBytes: "64KiB", messageBytes: "32KiB" } });
    const { publisher } = await openPublisher(relay);
    publisher.send(frame(0, item(0)));
    publisher.ws.send(data);
    expect((await publisher.end()).code).toBe(code);
    if (code !== 1009) expect(publisher.received.join()).toContain('"op":"results","n":0');
  });

  it("numbers that repeat or fall, and `resume` without a reason, harm nobody, however many", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const [{ publisher }, { publisher: other }] = [
      await openPublisher(relay),
      await openPublisher(relay),
    ];
    const ns = [7, 7, 3, 0, Number.MAX_SAFE_INTEGER, 7];
    for (const n of ns) {
      publisher.send({ op: "resume" });
      publisher.send(frame(n));
    }
    expect((await publisher.nextN(ns.length)).map(({ n }) => n)).toEqual(ns);
    for (let n = 0; n < 20_000; n++) publisher.ws.send('{"op":"resume"}');
    publisher.send(frame(1, item(1)));
    other.send(frame(2, item(2)));
    expect(results(await other.next())).toMatchObject([{ ok: true }]);
    expect(results(await publisher.next())).toMatchObject([{ ok: true }]);
    // Who says that it begins again, and does not, loses its own order; each answer still says the truth.
    moody.moods.push("refuse");
    publisher.send(frame(3, item(3)));
    publisher.send({ op: "resume" });
    publisher.send(frame(4, item(4)));
    publisher.send(frame(5, item(3)));
    const answers = await publisher.nextN(3);
    expect(answers.map((answer) => [answer.n, results(answer)[0]?.ok])).toEqual([
      [3, false],
      [4, true],
      [5, true],
    ]);
    expect(results(answers[2] as Frame)[0]).not.toHaveProperty("duplicate");
  });

  it("what is held is not let go by a frame of another socket with the same key", async () => {
    const moody = moodyLog();
    const relay = await relayFor({}, { messageLog: moody.log });
    const [{ publisher }, { publisher: other }] = [
      await openPublisher(relay),
      await openPublisher(relay),
    ];
    moody.moods.push("refuse");
    publisher.send(frame(1, item(1)));
    expect(results(await publisher.next())).toMatchObject([{ code: "unavailable" }]);
    other.send({ op: "resume" });
    other.send(frame(1, item(9)));
    expect(results(await other.next())).toMatchObject([{ ok: true }]);
    publisher.send(frame(2, item(2)));
    expect(await publisher.next()).toMatchObject({ op: "refused", n: 2, code: "unavailable" });
  });

  it("a frame in pieces that never ends is cut off at the same bound", async () => {
    const relay = await relayFor({ limits: { batchBytes: "64KiB", messageBytes: "32KiB" } });
    const { publisher } = await openPublisher(relay);
    publisher.ws.send('{"op":"publish","n":1,"messages":[', { fin: false });
    for (let n = 0; n < 50; n++) publisher.ws.send("", { fin: false });
    for (let n = 0; n < 70; n++) publisher.ws.send(" ".repeat(1000), { fin: false });
    expect((await publisher.end()).code).toBe(1009);
  });

  it.each(["-1", "1.5", "1e16", "9007199254740993", '"1"', "null", "[1]"])(
    "a frame with the number %s ends the socket",
    async (n) => {
      const { publisher } = await openPublisher(await relayFor());
      publisher.ws.send(`{"op":"publish","n":${n},"messages":[]}`);
      expect((await publisher.end()).code).toBe(4200);
      expect(publisher.received).toEqual([]);
    },
  );

  it("answers to a flood of pings, of which none is read, are not kept", async () => {
    const relay = await relayFor();
    const { publisher } = await openPublisher(relay);
    let pongs = 0;
    publisher.ws.on("pong", () => pongs++);
    publisher.stopReading();
    // Their pongs are more than the kernel keeps for both ends.
    const flood = 120_000;
    const data = Buffer.alloc(125);
    for (let n = 0; n < flood; n++) publisher.ws.ping(data);
    publisher.send(frame(1, item(1)));
    await until("all was sent", () => publisher.ws.bufferedAmount === 0);
    await until("the last was taken", async () =>
      (await relay.registry.metrics()).includes("rtm_relay_messages_accepted_total 1"),
    );
    publisher.startReading();
    expect(await publisher.next()).toMatchObject({ op: "results", n: 1 });
    expect(pongs).toBeLessThan(flood);
  });
});

/** Revoke, unsubscribe, disconnect: who is cut off, and that nothing accepted later reaches them. */
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { ControlItem, ControlResult } from "../../relay/contract/control.ts";
import type { Relay } from "../../relay/relay.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import {
  Client,
  type Frame,
  message,
  post,
  SOURCE,
  startTestRelay,
  token,
  until,
} from "./support.ts";

const MANAGER = {
  apiKeys: [
    { name: "worker", key: "test-key-0123456789", trusted: true, scopes: ["publish", "manage"] },
    { name: "sender", key: "sender-key-0123456789" },
    { name: "sales", key: "sales-key-0123456789", scopes: ["manage"], channels: ["sales*"] },
  ],
};

let relay: Relay;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rtm-control-"));
});
afterEach(async () => {
  await relay.close();
  rmSync(directory, { recursive: true, force: true });
});

const start = (overrides: object = {}) => startTestRelay({ ...MANAGER, ...overrides });

/** As the database says it: by the clock that wrote the tokens. */
const at = (item: object, before = Date.now()) => ({ before, ...item }) as unknown as ControlItem;

async function told(item: ControlItem, by: Relay = relay): Promise<ControlResult> {
  const [result] = await by.publisher.control([item], SOURCE);
  return result as ControlResult;
}

interface Person {
  readonly user?: string;
  readonly channels?: string[];
  readonly claims?: Record<string, unknown>;
  /** How long ago its token was made. */
  readonly agoMs?: number;
}

async function tokenOf(person: Person): Promise<string> {
  const { user = "SCOTT", channels = ["sales", "stock"], claims, agoMs = 5000 } = person;
  return token(channels, {
    subject: user,
    now: Date.now() - agoMs,
    claims: { self: `user:${user}`, sid: `session of ${user}`, ...claims },
  });
}

/** Connected, and subscribed to all its channels. */
async function open(person: Person = {}, on: Relay = relay): Promise<Client> {
  const { channels = ["sales", "stock"] } = person;
  const client = await Client.connect(on, {
    token: await tokenOf(person),
    subscribe: channels.map((channel) => ({ channel })),
  });
  await client.nextN(1 + channels.length);
  return client;
}

/** What has arrived and was not asked for. */
const left = (client: Client) => client.received.map((text) => JSON.parse(text) as Frame);

const publish = (channel: string, payload: unknown, by: Relay = relay) =>
  by.publisher.publish([message(channel, payload)], SOURCE);

describe("a revocation", () => {
  it.each([
    ["user", { user: "SCOTT" }],
    ["the user's own channel", { self: "user:SCOTT" }],
    ["user and own channel, of which one is enough", { user: "scott", self: "user:SCOTT" }],
    ["session", { sid: "session of SCOTT" }],
    ["token", { jti: "t1" }],
  ])(
    "by %s closes with 4103 and refuses the token from then on, and nobody else",
    async (_, whom) => {
      relay = await start();
      const scott = await open({ claims: { jti: "t1" } });
      const plain = await Client.open(
        relay,
        `/ws?channel=sales&token=${await tokenOf({ claims: { jti: "t1" } })}`,
      );
      const king = await open({ user: "KING" });
      const old = await tokenOf({ claims: { jti: "t1" } });
      expect(await told(at({ op: "revoke", ...whom }))).toEqual({
        status: "accepted",
        durable: false,
      });
      expect((await scott.end()).code).toBe(4103);
      expect((await plain.end()).code).toBe(4103);
      for (const [path, options] of [
        ["/ws", { protocol: "rtm.v1" }],
        [`/ws?channel=sales&token=${old}`, {}],
      ] as const) {
        const again = await Client.open(relay, path, options);
        if ("protocol" in options) again.send({ op: "connect", token: old });
        expect((await again.end()).code).toBe(4103);
      }
      const fresh = await Client.connect(relay, {
        token: await tokenOf({ agoMs: -1000, claims: { jti: "t2" } }),
      });
      expect(await fresh.next()).toMatchObject({ op: "connected" });
      await publish("sales", 1);
      expect(await king.next()).toMatchObject({ payload: 1 });
    },
  );

  it("ends an event stream, and answers it with 401 from then on", async () => {
    relay = await start();
    const headers = { authorization: `Bearer ${await tokenOf({})}` };
    const url = `http://127.0.0.1:${relay.port}/sse?channel=sales`;
    const stream = await fetch(url, { headers });
    expect(stream.status).toBe(200);
    await told(at({ op: "revoke", user: "SCOTT" }));
    await publish("sales", "after");
    const text = await stream.text();
    expect(text).toContain('"op":"close","code":4103');
    expect(text).not.toContain("after");
    expect((await fetch(url, { headers })).status).toBe(401);
  });

  it("of one of several tokens takes what it alone grants, and says so", async () => {
    relay = await start();
    const client = await open({ channels: ["sales"], claims: { jti: "t1" } });
    const second = await tokenOf({ channels: ["stock"], claims: { jti: "t2" } });
    client.send({ op: "subscribe", token: second, subscribe: [{ channel: "stock" }] });
    await client.nextN(2);
    await told(at({ op: "revoke", jti: "t1" }));
    expect(await client.next()).toEqual({
      op: "unsubscribed",
      channel: "sales",
      code: "token_revoked",
    });
    await publish("sales", "secret");
    await publish("stock", 2);
    expect(await client.next()).toMatchObject({ channel: "stock", payload: 2 });
    client.send({
      op: "subscribe",
      token: await tokenOf({ channels: ["sales"], claims: { jti: "t1" } }),
      subscribe: [{ channel: "sales" }],
    });
    expect(await client.nextN(2)).toMatchObject([
      { op: "error", code: "token_revoked" },
      { op: "error", code: "channel_forbidden" },
    ]);
  });

  it("spares tokens that were issued at its time or later, and those that renewed in time", async () => {
    relay = await start();
    const client = await open({ agoMs: 10_000 });
    client.send({ op: "refresh", token: await tokenOf({ agoMs: -1000 }) });
    expect(await client.next()).toMatchObject({ op: "refreshed" });
    await told(at({ op: "revoke", user: "SCOTT" }));
    await publish("sales", 1);
    expect(await client.next()).toMatchObject({ payload: 1 });
  });

  it("that comes late, or again, does not weaken a later one", async () => {
    relay = await start();
    const now = Date.now();
    await told(at({ op: "revoke", user: "SCOTT" }, now + 20_000));
    await told(at({ op: "revoke", user: "SCOTT" }, now - 3_600_000));
    const client = await Client.connect(relay, { token: await tokenOf({}) });
    expect((await client.end()).code).toBe(4103);
  });

  it("counts a token that does not say when it was issued, or says in the future, as old", async () => {
    relay = await start();
    await told(at({ op: "revoke", user: "SCOTT" }));
    for (const iat of [undefined, Math.floor(Date.now() / 1000) + 3600]) {
      const exp = Math.floor(Date.now() / 1000) + 60;
      const client = await Client.connect(relay, {
        token: await tokenOf({ claims: { iat, exp } }),
      });
      expect((await client.end()).code).toBe(4103);
    }
  });

  it("that names no time means every token that the issuer can have made by now", async () => {
    relay = await start({ tokens: { ...TOKENS, clockTolerance: "1s" } });
    await told({ op: "revoke", user: "SCOTT" });
    const now = await Client.connect(relay, { token: await tokenOf({ agoMs: 0 }) });
    expect((await now.end()).code).toBe(4103);
    await until("the issuer's next token to be good", async () => {
      const client = await Client.connect(relay, { token: await tokenOf({ agoMs: 0 }) });
      return client.next().then(
        ({ op }) => op === "connected",
        () => false,
      );
    });
    expect(await told(at({ op: "revoke", user: "S" }, Date.now() + 10 * 86_400_000))).toMatchObject(
      {
        status: "rejected",
        code: "bad_control",
      },
    );
  });

  it("lets what was accepted before it leave, and nothing that is accepted after it", async () => {
    relay = await start();
    const client = await open();
    const before = publish("sales", "before");
    const control = told(at({ op: "revoke", user: "SCOTT" }));
    const after = publish("sales", "after");
    await Promise.all([before, control, after]);
    const { code } = await client.end();
    expect(code).toBe(4103);
    const got = left(client)
      .filter(({ op }) => op === undefined)
      .map(({ payload }) => payload);
    expect(got).toEqual(["before"]);
  });

  it("ends a replay that is under way: a client that reads slowly gets no more of it", async () => {
    relay = await start({ slowClients: { connectionBytes: "4MiB", totalBytes: "64MiB" } });
    for (let n = 0; n < 200; n++) await publish("sales", "x".repeat(8000));
    const epoch = await epochOf();
    const slow = await Client.open(relay, "/ws", { protocol: "rtm.v1" });
    slow.send({
      op: "connect",
      token: await tokenOf({}),
      subscribe: [{ channel: "sales", since: { epoch, seq: 0 } }],
    });
    await slow.nextN(3);
    slow.stopReading();
    for (let n = 0; n < 200; n++) await publish("sales", "y".repeat(8000));
    await told(at({ op: "revoke", user: "SCOTT" }));
    await publish("sales", "after");
    slow.startReading();
    await slow.end();
    expect(left(slow).some(({ payload }) => payload === "after")).toBe(false);
  });

  it("that there is no room for any more becomes one of every token: it holds nobody up", {
    timeout: 60_000,
  }, async () => {
    relay = await start({ stateDirectory: directory });
    const before = Date.now() - 1000;
    const many = Array.from({ length: 100_000 }, (_, n) =>
      at({ op: "revoke", user: `U${n}` }, before),
    );
    const king = await open({ user: "KING" });
    const old = await tokenOf({ user: "U17" });
    const results = await relay.publisher.control(many, SOURCE);
    expect(results.every(({ status }) => status === "accepted")).toBe(true);
    const asNarrowKey = await post(
      relay,
      { op: "unsubscribe", user: "SCOTT", channel: "sales" },
      { "x-api-key": "sales-key-0123456789" },
    );
    expect(asNarrowKey.status).toBe(503);
    // A time at which everybody's new tokens would be refused.
    const ahead = at({ op: "revoke", user: "SCOTT" }, Date.now() + 3_600_000);
    expect(await told(ahead)).toMatchObject({ status: "unavailable" });
    await publish("sales", 1);
    expect(await king.next()).toMatchObject({ payload: 1 });

    expect(await told(at({ op: "revoke", user: "SCOTT" }))).toEqual({ status: "accepted" });
    expect((await king.end()).code).toBe(4103);
    const fresh = await open({ user: "KING", agoMs: -1000 });
    await publish("sales", 2);
    expect(await fresh.next()).toMatchObject({ payload: 2 });
    const { registry } = relay;
    const count = async (name: string) =>
      (await registry.getSingleMetric(name)?.get())?.values[0]?.value;
    expect(await count("rtm_relay_revocations_of_all_total")).toBe(1);
    expect(await count("rtm_relay_revocations")).toBe(1);

    // Also after a crash: what is on the disk says the same.
    const crashed = join(directory, "copy");
    mkdirSync(crashed);
    const copy = join(crashed, "relay-revoked.jsonl");
    copyFileSync(path(), copy);
    await relay.close();
    relay = await start({ stateDirectory: crashed });
    const again = await Client.connect(relay, { token: old });
    expect((await again.end()).code).toBe(4103);
    expect(readFileSync(copy, "utf8").split("\n")).toHaveLength(2);
  });

  it("of a thousand people at once is done in one pass, and takes nothing from others", async () => {
    relay = await start();
    const [scott, king] = [await open(), await open({ user: "KING" })];
    const items = Array.from({ length: 1000 }, (_, n) => at({ op: "revoke", user: `U${n}` }));
    const results = await relay.publisher.control(
      [...items, at({ op: "revoke", user: "SCOTT" })],
      SOURCE,
    );
    expect(results.every(({ status }) => status === "accepted")).toBe(true);
    expect((await scott.end()).code).toBe(4103);
    await publish("sales", 1);
    expect(await king.next()).toMatchObject({ payload: 1 });
  });
});

const TOKENS = { secrets: [{ kid: "k1", secret: "0123456789abcdef0123456789abcdef" }] };

async function epochOf(): Promise<string> {
  const client = await Client.connect(relay, {
    token: await tokenOf({ user: "READER" }),
    subscribe: [{ channel: "sales" }],
  });
  const [, subscribed] = await client.nextN(2);
  await client.close();
  return subscribed?.epoch as string;
}

describe("unsubscribe", () => {
  it("takes one channel from a user, also when the old token asks for it again", async () => {
    relay = await start();
    const client = await open();
    const whom = { user: "SCOTT", self: "user:SCOTT" };
    await told(at({ op: "unsubscribe", ...whom, channel: "sales" }));
    expect(await client.next()).toMatchObject({ op: "unsubscribed", code: "token_revoked" });
    client.send({ op: "subscribe", subscribe: [{ channel: "sales" }] });
    expect(await client.next()).toMatchObject({ op: "error", code: "channel_forbidden" });
    client.send({ op: "subscribe", token: await tokenOf({}), subscribe: [{ channel: "sales" }] });
    expect(await client.nextN(2)).toMatchObject([
      { op: "refreshed" },
      { op: "error", code: "channel_forbidden" },
    ]);
    await publish("sales", "secret");
    await publish("stock", 1);
    expect(await client.next()).toMatchObject({ channel: "stock" });
    const again = await open({ channels: ["stock"] });
    again.send({ op: "subscribe", subscribe: [{ channel: "sales" }] });
    expect(await again.next()).toMatchObject({ code: "channel_forbidden" });
    const renewed = await tokenOf({ agoMs: -1000 });
    client.send({ op: "subscribe", token: renewed, subscribe: [{ channel: "sales" }] });
    expect(await client.nextN(2)).toMatchObject([{ op: "refreshed" }, { op: "subscribed" }]);
  });

  it("takes a channel that a prefix grants, and none beside it", async () => {
    relay = await start();
    const person = { channels: ["room:1", "room:2"], claims: { channels: ["room:*"] } };
    const client = await open(person);
    await told(at({ op: "unsubscribe", user: "SCOTT", channel: "room:1" }));
    expect(await client.next()).toMatchObject({ channel: "room:1", code: "token_revoked" });
    await publish("room:1", 1);
    await publish("room:2", 2);
    expect(await client.next()).toMatchObject({ channel: "room:2" });
  });
});

describe("disconnect", () => {
  it("closes with 4007, or with 4207 for good; the token stays good", async () => {
    relay = await start();
    const [scott, king] = [await open(), await open({ user: "KING" })];
    expect(await told({ op: "disconnect", user: "SCOTT" })).toEqual({ status: "accepted" });
    expect((await scott.end()).code).toBe(4007);
    const again = await open();
    await told({ op: "disconnect", sid: "session of SCOTT", stop: true });
    expect((await again.end()).code).toBe(4207);
    await publish("sales", 1);
    expect(await king.next()).toMatchObject({ payload: 1 });
  });
});

describe("over REST", () => {
  const as = (key: string) => ({ "x-api-key": `${key}-key-0123456789` });

  it("takes items and messages in one array, in their order", async () => {
    relay = await start();
    const client = await open();
    const { status, body } = await post(relay, [
      { channel: "sales", payload: "before" },
      { op: "revoke", user: "SCOTT", before: Date.now() },
      { channel: "sales", payload: "after" },
    ]);
    expect([status, body]).toMatchObject([
      200,
      {
        ok: true,
        results: [{ ok: true, recipients: 1 }, { ok: true, durable: false }, { recipients: 0 }],
      },
    ]);
    expect((await client.end()).code).toBe(4103);
    expect(left(client).filter(({ op }) => op === undefined)).toMatchObject([
      { payload: "before" },
    ]);
    expect(await post(relay, { op: "disconnect", user: "SCOTT" })).toMatchObject({
      status: 200,
      body: { ok: true },
    });
  });

  it("needs the scope, and for users a key of all channels", async () => {
    relay = await start();
    const client = await open();
    const revoke = { op: "revoke", user: "SCOTT" };
    const unsubscribe = { op: "unsubscribe", user: "SCOTT", channel: "stock" };
    for (const [key, body, code] of [
      ["sender", revoke, "scope_missing"],
      ["sender", unsubscribe, "scope_missing"],
      ["sales", revoke, "channel_forbidden"],
      ["sales", { op: "disconnect", user: "SCOTT" }, "channel_forbidden"],
      ["sales", unsubscribe, "channel_forbidden"],
      ["sales", { channel: "sales", payload: 1 }, "scope_missing"],
    ] as const) {
      expect(await post(relay, body, as(key))).toMatchObject({ status: 403, body: { code } });
    }
    const allowed = { ...unsubscribe, channel: "sales", before: Date.now() };
    expect((await post(relay, allowed, as("sales"))).status).toBe(200);
    expect(await client.next()).toMatchObject({ op: "unsubscribed", channel: "sales" });
  });

  it.each([
    [{ op: "revoke" }, "exactly one of user (or self), sid and jti"],
    [{ op: "revoke", user: "S", sid: "x" }, "exactly one of"],
    [{ op: "revoke", user: "S", channel: "sales" }, "revoke has no member channel"],
    [{ op: "revoke", user: "S", session: 1 }, "revoke has no member session"],
    [{ op: "revoke", user: "" }, "user must be a string of 1-256"],
    [{ op: "revoke", user: ["S"] }, "user must be a string"],
    [{ op: "revoke", self: "a*" }, "self must not contain"],
    [{ op: "revoke", user: "S", before: "now" }, "before must be a whole number"],
    [{ op: "unsubscribe", user: "S" }, "unsubscribe needs channel"],
    [{ op: "disconnect", user: "S", stop: "yes" }, "stop must be true or false"],
    [{ op: "forget", channel: "sales" }, "forget needs eventName"],
    [{ op: "revok", user: "S" }, "op must be one of revoke, unsubscribe, disconnect, forget"],
    [{ op: "constructor", user: "S" }, "op must be one of"],
  ])("refuses %j: %s", async (body, text) => {
    relay = await start();
    expect(await post(relay, body)).toMatchObject({
      status: 400,
      body: { ok: false, code: "bad_control", message: expect.stringContaining(text) },
    });
  });

  it("goes on publishing messages that happen to have a member op", async () => {
    relay = await start();
    expect(await post(relay, { op: "insert", channel: "sales", payload: 1 })).toMatchObject({
      status: 200,
      body: { ok: true, recipients: 0 },
    });
  });
});

const path = () => join(directory, "relay-revoked.jsonl");
const keys = () =>
  readFileSync(path(), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line).key as string);
const lineOf = (key: string, untilMs = Date.now() + 60_000) =>
  `${JSON.stringify({ key, before: 1, untilMs })}\n`;

describe("what is revoked survives", () => {
  const refused = async () =>
    (await (await Client.connect(relay, { token: await tokenOf({}) })).end()).code;

  it("a crash right after the answer", async () => {
    relay = await start({ stateDirectory: directory });
    expect(await told(at({ op: "revoke", user: "SCOTT" }))).toEqual({ status: "accepted" });
    // What is on the disk now is what a crash leaves.
    const file = readFileSync(join(directory, "relay-revoked.jsonl"), "utf8");
    await relay.close();
    expect(file).toContain("sub:SCOTT");
    relay = await start({ stateDirectory: directory });
    expect(await refused()).toBe(4103);
  });

  it("a line that a crash cut off, without taking it or its neighbours for something else", async () => {
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "SCOTT" }));
    await relay.close();
    appendFileSync(path(), '{"key":"sub:KING","bef');
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "ADAMS" }));
    await relay.close();
    relay = await start({ stateDirectory: directory });
    expect(await refused()).toBe(4103);
    const adams = await Client.connect(relay, { token: await tokenOf({ user: "ADAMS" }) });
    expect((await adams.end()).code).toBe(4103);
    const king = await Client.connect(relay, { token: await tokenOf({ user: "KING" }) });
    expect(await king.next()).toMatchObject({ op: "connected" });
  });

  it("a takeover, and is taken before the node serves", async () => {
    relay = await startTestRelay(MANAGER, { serving: false });
    expect(await told(at({ op: "revoke", user: "SCOTT" }))).toMatchObject({ status: "accepted" });
    expect((await post(relay, { op: "revoke", user: "KING" })).status).toBe(503);
    relay.setServing(true);
    relay.setServing(false);
    relay.setServing(true, { takeover: true });
    expect(await refused()).toBe(4103);
  });

  it("no longer than a token can: what has ended long ago is kept, but not in force again", async () => {
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "SCOTT" }, Date.now() - 2 * 86_400_000));
    await told(at({ op: "revoke", user: "KING" }));
    await relay.close();
    appendFileSync(path(), lineOf("sub:OLD", 1));
    relay = await start({ stateDirectory: directory });
    expect(keys()).toEqual(["sub:OLD", "sub:KING"]);
    expect(await relay.registry.metrics()).toMatch(/^rtm_relay_revocations 1$/m);
  });

  it("a start with a clock that is days ahead", async () => {
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "SCOTT" }));
    await relay.close();
    const ahead = Date.now() + 30 * 86_400_000;
    const clock = vi.spyOn(Date, "now").mockReturnValue(ahead);
    relay = await start({ stateDirectory: directory });
    await relay.close();
    clock.mockRestore();
    relay = await start({ stateDirectory: directory });
    expect(await refused()).toBe(4103);
  });

  it.each([
    ["damaged", '{"key":"sub:KING","bef\n'],
    ["of another version", '{"key":"sub:KING","before":5,"untilMs":9e15,"reason":"left"}\n'],
  ])(
    "nothing that is guessed: with a line that is %s there is no start, and the file stays",
    async (_, line) => {
      const file = `${lineOf("sub:A")}${line}${lineOf("sub:B")}`;
      writeFileSync(path(), file);
      relay = await start();
      const refusal = start({ stateDirectory: directory });
      await expect(refusal).rejects.toThrow(
        /relay-revoked\.jsonl: line 2 is no revocation of this version; bring back .* or move it away/,
      );
      expect(readFileSync(path(), "utf8")).toBe(file);
    },
  );

  it("no file that is far too large: it is refused unread", async () => {
    writeFileSync(path(), "");
    truncateSync(path(), 3 * 1024 ** 3);
    relay = await start();
    await expect(start({ stateDirectory: directory })).rejects.toThrow(
      "it has 3221225472 bytes, more than 268435456; bring back",
    );
  });

  it("what is said again and again, without a file that grows", async () => {
    relay = await start({ stateDirectory: directory });
    const item = at({ op: "unsubscribe", user: "SCOTT", channel: "sales" });
    await relay.publisher.control(Array(1000).fill(item), SOURCE);
    await relay.publisher.control([item], SOURCE);
    expect(keys()).toHaveLength(1);
    const before = Date.now();
    const round = (n: number) =>
      Array.from({ length: 1000 }, (_, user) =>
        at({ op: "revoke", user: `${user}${"x".repeat(200)}` }, before + n),
      );
    for (let n = 0; n < 20; n++) {
      for (const result of await relay.publisher.control(round(n), SOURCE)) {
        expect(result).toEqual({ status: "accepted" });
      }
    }
    expect(statSync(path()).size).toBeLessThan(1.1 * 1024 ** 2);
    await relay.close();
    relay = await start({ stateDirectory: directory });
    expect(await relay.registry.metrics()).toMatch(/^rtm_relay_revocations 1001$/m);
  });

  it("a file that somebody removes while the relay runs: it is there again with the next one", async () => {
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "SCOTT" }));
    rmSync(path());
    await told(at({ op: "revoke", user: "KING" }));
    expect(keys().sort()).toEqual(["sub:KING", "sub:SCOTT"]);
  });

  it("only where the directory can be used: otherwise there is no start", async () => {
    relay = await start({ stateDirectory: directory });
    await told(at({ op: "revoke", user: "SCOTT" }));
    await expect(start({ stateDirectory: join(directory, "relay-revoked.jsonl") })).rejects.toThrow(
      "service.stateDirectory",
    );
  });
});

describe.skipIf(ENGINE_MISSING !== "")(`on a shared log${ENGINE_MISSING}`, () => {
  async function node(engine: RedisServer, overrides: object = {}): Promise<Relay> {
    const log = { kind: "valkey", url: engine.url, grace: "60s" };
    const started = await start({ log, ...overrides });
    onTestFinished(() => started.close());
    return started;
  }

  it("holds on every node, for those connected there and for nodes that come later", async () => {
    const engine = await RedisServer.start();
    relay = await node(engine);
    const other = await node(engine);
    const clients = [await open({}, relay), await open({}, other)];
    expect(await told(at({ op: "revoke", user: "SCOTT" }))).toEqual({ status: "accepted" });
    await publish("sales", "after");
    for (const client of clients) {
      expect((await client.end()).code).toBe(4103);
      expect(left(client).some(({ payload }) => payload === "after")).toBe(false);
    }
    const late = await node(engine);
    for (const each of [relay, other, late]) {
      const again = await Client.connect(each, { token: await tokenOf({}) });
      expect((await again.end()).code).toBe(4103);
    }
    const kings = [await open({ user: "KING" }, relay), await open({ user: "KING" }, other)];
    await told({ op: "disconnect", user: "KING" }, other);
    for (const king of kings) expect((await king.end()).code).toBe(4007);
  });

  it("is in force on the node that answered, whether or not that node has read the log since", async () => {
    const engine = await RedisServer.start();
    relay = await node(engine);
    for (let n = 0; n < 20; n++) {
      const client = await open({ user: `U${n}` });
      await told(at({ op: "revoke", user: `U${n}` }));
      const again = await Client.connect(relay, { token: await tokenOf({ user: `U${n}` }) });
      expect((await again.end()).code).toBe(4103);
      expect((await client.end()).code).toBe(4103);
    }
  });

  it("is said again when the engine has lost it", async () => {
    const engine = await RedisServer.start();
    relay = await node(engine);
    await told(at({ op: "revoke", user: "SCOTT" }));
    await engine.command("FLUSHALL");
    await until(
      "the engine to know it again",
      async () => (await engine.command("HEXISTS", "{rtm}:t:revoked", "sub:SCOTT")) === 1,
    );
    const late = await node(engine);
    const client = await Client.connect(late, { token: await tokenOf({}) });
    expect((await client.end()).code).toBe(4103);
  });

  it.each(["answered", "heard"])(
    "survives the death of the engine and of all nodes, when the node that %s it comes back",
    async (what) => {
      const engine = await RedisServer.start();
      relay = await node(engine, what === "answered" ? { stateDirectory: directory } : {});
      const other = await node(engine, what === "heard" ? { stateDirectory: directory } : {});
      expect(await told(at({ op: "revoke", user: "SCOTT" }))).toEqual({ status: "accepted" });
      // What is on the disk now is what a crash leaves.
      await until("it to be kept", () => keys().includes("sub:SCOTT"));
      await Promise.all([relay.close(), other.close()]);
      await engine.kill();
      await engine.restart();
      expect(await engine.command("EXISTS", "{rtm}:t:revoked")).toBe(0);
      relay = await node(engine, { stateDirectory: directory });
      await until(
        "the engine to know it again",
        async () => (await engine.command("HEXISTS", "{rtm}:t:revoked", "sub:SCOTT")) === 1,
      );
      for (const each of [relay, await node(engine)]) {
        const client = await Client.connect(each, { token: await tokenOf({}) });
        expect((await client.end()).code).toBe(4103);
      }
    },
  );
});

/** A live relay under random frames, bytes and bodies: it answers by the table and goes on. */
import { once } from "node:events";
import { connect } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CLOSE, CODES } from "../../relay/contract/protocol.ts";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, post, SOURCE, startTestRelay, token, until } from "./support.ts";

const RUNS = process.env.RTM_TEST_LONG === "1" ? 2000 : 60;
const CODE_SET: ReadonlySet<string> = new Set(CODES);
const OPS = new Set([
  ...["connected", "refreshed", "subscribed", "unsubscribed", "error", "ping", "position"],
  ...["members", "presence", "event", "published"],
]);
/** Of the protocol, and of RFC 6455 for what is no WebSocket. 1006: the relay destroyed the socket. */
const CLOSES = new Set<number>([...Object.values(CLOSE), 1002, 1005, 1006, 1007, 1009]);

let relay: Relay;
let rights: string;

beforeEach(async () => {
  relay = await startTestRelay({
    limits: { commandsPerSecond: 1_000_000, frameBytes: "4KiB" },
    clientEvents: { channels: ["a", "b*"] },
    presence: { members: 1, rules: [{ channels: "b*", watchOnly: true }] },
  });
  const presence = { join: ["b*"], watch: ["b*"] };
  rights = await token(["a", "b*"], { claims: { publish: ["a", "b*"], presence } });
});
afterEach(() => relay.close());

async function expectServing(): Promise<void> {
  const client = await Client.open(relay, "/ws?channel=public");
  await relay.publisher.publish([message("public", "still here")], SOURCE);
  expect(await client.next()).toMatchObject({ payload: "still here" });
  await client.close();
}

const channel = fc.oneof(fc.constantFrom("a", "b1", "b2", "public", "x", "", "a*"), fc.jsonValue());
const since = fc.oneof(
  fc.record({ epoch: fc.string(), seq: fc.oneof(fc.nat(), fc.jsonValue()) }),
  fc.record({ ageMs: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()) }),
  fc.record({ last: fc.oneof(fc.nat(11), fc.jsonValue()) }),
  fc.jsonValue(),
);
const eventName = fc.oneof(fc.constantFrom("event", "client:x", "client:", ""), fc.jsonValue());
const events = fc.oneof(fc.array(eventName, { maxLength: 3 }), fc.jsonValue());
const presence = fc.oneof(
  fc.record({ join: fc.boolean(), watch: fc.boolean() }, { requiredKeys: [] }),
  fc.jsonValue(),
);
const frame = fc.record(
  {
    op: fc.oneof(
      fc.constantFrom("connect", "subscribe", "unsubscribe", "refresh", "publish", "pong"),
      fc.constant("constructor"),
      fc.jsonValue(),
    ),
    token: fc.oneof(fc.constant("RIGHTS"), fc.string(), fc.jsonValue()),
    subscribe: fc.oneof(
      fc.array(fc.record({ channel, since, events, presence }, { requiredKeys: [] })),
      fc.jsonValue(),
    ),
    channels: fc.oneof(fc.array(channel), fc.jsonValue()),
    channel,
    eventName,
    payload: fc.jsonValue(),
    ref: fc.oneof(fc.string(), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  { weight: 8, arbitrary: frame.map((value) => JSON.stringify(value)) },
  { weight: 2, arbitrary: fc.string({ unit: "binary" }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
);

it("frames: every answer is a frame or a close code of the page", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 15 }), async (greeted, steps) => {
      const client = await Client.open(relay, "/ws", { protocol: "rtm.v1" });
      if (greeted) client.send({ op: "connect", token: rights, subscribe: [{ channel: "a" }] });
      for (const data of steps) {
        client.ws.send(
          typeof data === "string" ? data.replaceAll("RIGHTS", rights) : Buffer.from(data),
        );
      }
      await relay.publisher.publish([message("a", 1)], SOURCE);
      client.ws.ping();
      await Promise.race([once(client.ws, "pong"), client.end()]);
      client.ws.close();
      const { code } = await client.end();
      expect(CLOSES).toContain(code);
      for (const text of client.received) {
        const received = JSON.parse(text) as { op?: string; code?: string };
        if (received.op !== undefined) expect(OPS).toContain(received.op);
        if (received.code !== undefined) expect(CODE_SET).toContain(received.code);
      }
    }),
    { numRuns: RUNS },
  );
  await expectServing();
});

it("bytes on an open WebSocket, and instead of a handshake", async () => {
  const handshake =
    "GET /ws?channel=public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }),
      async (opened, chunks) => {
        const socket = connect(relay.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.resume();
        if (opened) socket.write(handshake);
        for (const chunk of chunks) socket.write(chunk);
        socket.end();
        await once(socket, "close");
      },
    ),
    { numRuns: RUNS },
  );
  await until("all connections to be gone", async () =>
    (await relay.registry.metrics()).includes("rtm_relay_connections 0"),
  );
  await expectServing();
});

it("bodies: every answer has a code of the page", async () => {
  const body = fc.oneof(
    fc.json(),
    fc
      .oneof(
        fc.array(
          fc.record(
            {
              channel,
              eventName: channel,
              event_name: channel,
              payload: fc.jsonValue(),
              id: channel,
              ts: fc.jsonValue(),
              retain: fc.oneof(fc.nat(700_000), fc.jsonValue()),
              op: fc.oneof(fc.constantFrom("revoke", "forget"), fc.jsonValue()),
            },
            { requiredKeys: [] },
          ),
        ),
        fc.record({ channel, payload: fc.jsonValue(), id: channel }, { requiredKeys: [] }),
      )
      .map((value) => JSON.stringify(value)),
    fc.string({ unit: "binary" }),
    fc.uint8Array(),
  );
  await fc.assert(
    fc.asyncProperty(body, async (data) => {
      const { status, body } = await post(relay, data);
      expect([200, 400, 413]).toContain(status);
      const answers = (body.results as Record<string, unknown>[] | undefined) ?? [body];
      for (const answer of answers) {
        if (answer.ok === false) expect(CODE_SET).toContain(answer.code);
        else expect(answer).toMatchObject({ ok: true, id: expect.any(String) });
      }
    }),
    { numRuns: RUNS * 3 },
  );
  await expectServing();
});

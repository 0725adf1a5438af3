/** The MLE module WEBSOCKET_SENDER_MODULE, with Node's fetch, against the relay. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, startTestRelay } from "../relay/support.ts";

interface Outcome {
  status: number | null;
  body: string;
}

interface SenderModule {
  sendBroadcast(
    apiKey: string | null,
    baseUrl: string,
    channel: string,
    eventName: string,
    payload: string,
    messageId: string | null,
    tsMs: number | null,
    timeoutSeconds: number,
    retainSeconds: number | null,
  ): Promise<string>;
}

const TS = 1_795_333_000_123;
const modulePath = "../../sql/api/http/websocket_sender_module.js";
let sender: SenderModule;
let relay: Relay;

beforeAll(async () => {
  sender = (await import(modulePath)) as SenderModule;
  relay = await startTestRelay();
});
afterAll(() => relay.close());

const relayUrl = () => `http://127.0.0.1:${relay.port}`;

async function send({
  apiKey = API_KEY as string | null,
  url = relayUrl(),
  channel = "public:mle",
  payload = "{}",
  id = null as string | null,
  seconds = 10,
  retain = null as number | null,
} = {}): Promise<Outcome> {
  const text = await sender.sendBroadcast(
    apiKey,
    url,
    channel,
    "probe",
    payload,
    id,
    TS,
    seconds,
    retain,
  );
  return JSON.parse(text) as Outcome;
}

/** A server that answers as the listener says. */
async function withServer<T>(listener: RequestListener, use: (url: string) => Promise<T>) {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("sendBroadcast", () => {
  it("reaches a subscriber byte for byte, with the id and time of the call", async () => {
    const client = await Client.connect(relay, { subscribe: [{ channel: "public:mle" }] });
    const [connected, subscribed] = await client.nextN(2);
    expect([connected?.op, subscribed?.op]).toEqual(["connected", "subscribed"]);
    const payload = '{"n":9007199254740993, "text":"grüße, 世界 \\ud83d\\ude00 😀","a":[1.0,null]}';
    const { status, body } = await send({ payload, id: "0f3c" });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ ok: true, id: "0f3c", recipients: 1 });
    const frame = await client.nextText();
    expect(frame).toContain(`"payload":${payload},`);
    expect(JSON.parse(frame)).toMatchObject({ eventName: "probe", id: "0f3c", ts: TS });
    await client.close();
  });

  it("sends a payload of 1 MB", async () => {
    const large = await startTestRelay({ limits: { messageBytes: "2MiB", batchBytes: "4MiB" } });
    try {
      const payload = JSON.stringify("x".repeat(1_000_000));
      const outcome = await send({ url: `http://127.0.0.1:${large.port}`, payload });
      expect(outcome.status).toBe(200);
    } finally {
      await large.close();
    }
  });

  it.each([
    ["no key", null],
    ["an unknown key", "wrong-key-0123456789"],
  ])("returns the 401 of %s", async (_, apiKey) => {
    const { status, body } = await send({ apiKey });
    expect(status).toBe(401);
    expect(JSON.parse(body)).toMatchObject({ ok: false, code: "unauthorized" });
  });

  it("returns a refused channel name", async () => {
    const { status, body } = await send({ channel: "a*b" });
    expect(status).toBe(400);
    expect(JSON.parse(body)).toMatchObject({ code: "bad_channel" });
  });

  it("returns a 500, and no more than 1,000 characters of its body", async () => {
    const outcome = await withServer(
      (_, response) => response.writeHead(500).end("e".repeat(5000)),
      (url) => send({ url }),
    );
    expect(outcome).toEqual({ status: 500, body: "e".repeat(1000) });
  });

  it("returns an answer that is not JSON as it is", async () => {
    const outcome = await withServer(
      (_, response) => response.writeHead(200).end("<html>"),
      (url) => send({ url }),
    );
    expect(outcome).toEqual({ status: 200, body: "<html>" });
  });

  it("gives up a server that does not answer within the timeout", async () => {
    const outcome = await withServer(
      () => {},
      (url) => send({ url, seconds: 0.2 }),
    );
    expect(outcome.status).toBeNull();
    expect(outcome.body).toContain("TimeoutError");
  });

  it("reports a relay that is not there", async () => {
    const url = await withServer(
      () => {},
      async (address) => address,
    );
    const outcome = await send({ url });
    expect(outcome.status).toBeNull();
    expect(outcome.body).not.toBe("");
  });

  it("posts for how long the message is to be kept, and nothing where it is not", async () => {
    const bodies: string[] = [];
    const listener: RequestListener = (request, response) => {
      request.on("data", (chunk) => bodies.push(String(chunk)));
      request.on("end", () => response.end("{}"));
    };
    await withServer(listener, async (url) => {
      await send({ url, retain: 60 });
      await send({ url });
    });
    expect(bodies.map((body) => JSON.parse(body).retain)).toEqual([60, undefined]);
  });

  it("posts to one path, whatever slashes end the URL", async () => {
    const paths: (string | undefined)[] = [];
    await withServer(
      (request, response) => {
        paths.push(request.url);
        response.end("{}");
      },
      (url) => send({ url: `${url}/rtm//` }),
    );
    expect(paths).toEqual(["/rtm/api/broadcast"]);
  });

  it("throws for a payload that would break out of its member, and without a URL", async () => {
    await expect(send({ payload: '1},{"channel":"other"' })).rejects.toThrow(SyntaxError);
    await expect(send({ url: "" })).rejects.toThrow("baseUrl is required");
  });
});

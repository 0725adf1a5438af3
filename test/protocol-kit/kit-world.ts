/** Against what the kit runs, and what its tests do again and again. */
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { afterEach, expect } from "vitest";
import { Client, post, type Target } from "./client.ts";

export interface KitTarget {
  readonly target: Target;
  /** An API key that may publish to every channel the kit uses, and is `trusted`. */
  readonly apiKey: string;
  /** An API key that is not trusted and may only publish below `<privatePrefix>open`. */
  readonly limitedKey?: string | undefined;
  /** A secret that signs tokens, and its `kid`. */
  readonly secret: string;
  readonly kid: string;
  /** Channel names that begin so need a token. */
  readonly privatePrefix: string;
  /** Channel names that begin so are public; undefined when there are none. */
  readonly publicPrefix?: string | undefined;
  /** An origin in the allow-list. */
  readonly allowedOrigin?: string | undefined;
  /** More messages than the relay takes in one POST. */
  readonly tooManyMessages?: number | undefined;
  /** A rule of the relay lets users be seen in private channels. */
  readonly presence: boolean;
  /** A rule of the relay lets clients send events in private channels. */
  readonly events: boolean;
  /** The relay's times are short enough to wait for, and its caps small enough to reach. */
  readonly quick: boolean;
}

/** Clients of one test, which end with it. Call it where tests are registered; `get` is called inside them. */
export function openKit(get: () => KitTarget) {
  const clients: Client[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) {
      client.terminate();
      await client.end();
    }
  });

  const unique = (prefix: string) => `${prefix}${randomUUID()}`;
  const privateChannel = () => unique(get().privatePrefix);

  async function token(
    channels: unknown,
    claims: { sub?: unknown; exp?: number | undefined; nbf?: number; publish?: unknown } = {},
    header: { kid?: string | undefined; alg?: string } = {},
    secret = get().secret,
  ): Promise<string> {
    const exp = "exp" in claims ? claims.exp : Math.floor(Date.now() / 1000) + 300;
    const body = { sub: "kit", channels, ...claims, ...(exp === undefined ? {} : { exp }) };
    if (exp === undefined) delete (body as { exp?: number }).exp;
    const kid = "kid" in header ? header.kid : get().kid;
    return await new SignJWT(body as never)
      .setProtectedHeader({ alg: header.alg ?? "HS256", ...(kid === undefined ? {} : { kid }) })
      .sign(Buffer.from(secret));
  }

  async function open(path = "/ws", options: Parameters<typeof Client.open>[2] = {}) {
    const client = await Client.open(get().target, path, options);
    clients.push(client);
    return client;
  }

  async function connect(frame: object): Promise<Client> {
    const client = await open("/ws", { protocol: "rtm.v1" });
    client.send({ op: "connect", ...frame });
    return client;
  }

  /** A client with a token for `channels` that is subscribed to them. */
  async function subscriber(channels: readonly string[]): Promise<Client> {
    const client = await connect({
      token: await token(channels),
      subscribe: channels.map((channel) => ({ channel })),
    });
    expect(await client.next()).toMatchObject({ op: "connected" });
    for (const channel of channels) {
      expect(await client.next()).toMatchObject({ op: "subscribed", channel });
    }
    return client;
  }

  const publish = (body: unknown, headers: Record<string, string> = {}) =>
    post(get().target, body, { "x-api-key": get().apiKey, ...headers });

  /** The relay goes on after whatever was sent before. */
  async function expectAlive(client: Client): Promise<void> {
    const channel = unique("never-subscribed-");
    client.send({ op: "unsubscribe", channels: [channel] });
    expect(await client.next()).toEqual({ op: "unsubscribed", channel });
  }

  return { get, unique, privateChannel, token, open, connect, subscriber, publish, expectAlive };
}

export type Kit = ReturnType<typeof openKit>;

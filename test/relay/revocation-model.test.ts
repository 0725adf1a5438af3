/**
 * Random tokens, subscriptions, revocations and messages against a model of who may read what: each
 * client has exactly the messages that were accepted while it had a right, and none after an answer.
 */
import { expect, it } from "vitest";
import type { ControlItem } from "../../relay/contract/control.ts";
import { Random } from "../model/random.ts";
import { Client, message, SOURCE, startTestRelay, token } from "./support.ts";

const ROUNDS = process.env.RTM_TEST_LONG === "1" ? 200 : 15;
const STEPS = 60;
const CHANNELS = ["a", "b"];
const USERS = ["SCOTT", "KING", "A\0a"];
const SESSIONS = ["s1", "s2"];

/** A user's own channel: the name of a channel holds no control characters. */
const selfOf = (user: string) => `user:${user.replace("\0", "-")}`;

interface Token {
  readonly user: string;
  readonly sid: string;
  readonly jti: string;
  readonly iat: number;
  /** Taken at once, or one by one. */
  readonly lost: Set<string>;
}

interface Reader {
  readonly client: Client;
  tokens: Token[];
  readonly subscribed: Set<string>;
  readonly expected: number[];
  closed: boolean;
}

/** Of two tokens of one session the one that was issued later stands for both. */
function accept(reader: Reader, granted: Token): void {
  const others = reader.tokens.filter((each) => !dead(each));
  const same = (each: Token) => each.sid === granted.sid;
  if (others.some((each) => same(each) && each.iat >= granted.iat)) return;
  reader.tokens = [...others.filter((each) => !same(each)), granted];
}

const may = ({ tokens }: Reader, channel: string) => tokens.some(({ lost }) => !lost.has(channel));
const dead = ({ lost }: Token) => lost.has("*");

async function round(seed: number): Promise<void> {
  const random = new Random(seed);
  const pick = <T>(values: readonly T[]): T => values[random.int(0, values.length - 1)] as T;
  const relay = await startTestRelay({ publicChannels: [] });
  const readers: Reader[] = [];
  const now = Math.floor(Date.now() / 1000);
  let made = 0;
  let published = 0;
  const make = async (user: string): Promise<[Token, string]> => {
    const claims = { sid: pick(SESSIONS), jti: `t${++made}`, iat: now - random.int(0, 9) };
    const text = await token(CHANNELS, {
      subject: user,
      claims: { self: selfOf(user), exp: now + 600, ...claims },
    });
    return [{ user, ...claims, lost: new Set() }, text];
  };
  const revoked: { item: ControlItem; before: number }[] = [];
  /** What a revocation takes from a token. */
  const take = (of: Token, { item, before }: (typeof revoked)[number]) => {
    const { user, sid, jti } = item as { user?: string; sid?: string; jti?: string };
    if (![of.user === user, of.sid === sid, of.jti === jti].includes(true)) return;
    if (of.iat * 1000 >= before) return;
    if (item.op === "unsubscribe") of.lost.add(item.channel);
    else for (const each of ["*", ...CHANNELS]) of.lost.add(each);
  };
  try {
    for (let step = 0; step < STEPS; step++) {
      const open = readers.filter(({ closed }) => !closed);
      const what = pick(["connect", "renew", "revoke", "publish", "publish", "publish"]);
      if (what === "connect" || open.length === 0) {
        const [granted, text] = await make(pick(USERS));
        for (const each of revoked) take(granted, each);
        const client = await Client.connect(relay, {
          token: text,
          subscribe: CHANNELS.map((channel) => ({ channel })),
        });
        if (dead(granted)) {
          expect((await client.end()).code).toBe(4103);
          continue;
        }
        const answers = (await client.nextN(3)).slice(1);
        const subscribed = new Set(CHANNELS.filter((channel) => !granted.lost.has(channel)));
        expect(answers.map(({ op }) => op === "subscribed")).toEqual(
          CHANNELS.map((channel) => subscribed.has(channel)),
        );
        readers.push({ client, tokens: [granted], subscribed, expected: [], closed: false });
      } else if (what === "renew") {
        const reader = pick(open);
        const [granted, text] = await make((reader.tokens[0] as Token).user);
        for (const each of revoked) take(granted, each);
        reader.client.send({ op: "refresh", token: text });
        if (!dead(granted)) accept(reader, granted);
      } else if (what === "revoke") {
        const whom = pick([
          { user: pick(USERS) },
          { sid: pick(SESSIONS) },
          { jti: `t${1 + random.int(0, made - 1)}` },
        ]);
        const before = (now - random.int(0, 9)) * 1000;
        const channel = pick([undefined, undefined, ...CHANNELS]);
        const item = (
          channel === undefined
            ? { op: "revoke", ...whom, before }
            : { op: "unsubscribe", ...whom, channel, before }
        ) as ControlItem;
        // What was sent before must have arrived: its order with this is not the test's to say.
        await Promise.all(open.map(settled));
        expect((await relay.publisher.control([item], SOURCE))[0]?.status).toBe("accepted");
        revoked.push({ item, before });
        for (const reader of open) {
          for (const each of reader.tokens) take(each, { item, before });
          for (const each of CHANNELS) if (!may(reader, each)) reader.subscribed.delete(each);
          reader.closed = reader.tokens.every(dead);
        }
      } else {
        const channel = pick(CHANNELS);
        const n = ++published;
        await relay.publisher.publish([message(channel, n)], SOURCE);
        for (const reader of open) if (reader.subscribed.has(channel)) reader.expected.push(n);
      }
    }
    for (const reader of readers) {
      if (reader.closed) expect((await reader.client.end()).code).toBe(4103);
      else await settled(reader);
      const got = reader.client.received
        .map((text) => JSON.parse(text))
        .filter(({ op }) => op === undefined)
        .map(({ payload }) => payload as number)
        // Nothing is promised about the order across channels.
        .sort((a, b) => a - b);
      expect({ seed, got }).toEqual({ seed, got: reader.expected });
    }
  } finally {
    await relay.close();
  }
}

/** Everything that was sent to the relay has been handled there, and the answer is here. */
async function settled({ client }: Reader): Promise<void> {
  const mark = `mark-${Math.random()}`;
  client.send({ op: "unsubscribe", channels: [mark] });
  while (!client.closed && !client.received.some((text) => text.includes(mark))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

it("whoever was cut off gets nothing that is accepted later, and others get everything", {
  timeout: 120_000,
}, async () => {
  const first = Number(process.env.RTM_TEST_SEED ?? 1);
  const rounds = process.env.RTM_TEST_SEED === undefined ? ROUNDS : 1;
  for (let seed = first; seed < first + rounds; seed++) await round(seed);
});

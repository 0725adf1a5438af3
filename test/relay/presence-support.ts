/** Clients that are seen and see others, and that keep the list of members as a page does. */
import { onTestFinished } from "vitest";
import type { Relay, RelayOptions } from "../../relay/relay.ts";
import { Client, type Frame, startTestRelay, token, until } from "./support.ts";

export const ROOM = "room:1";
export const RULES = [{ channels: "open:*", watchOnly: true }, { channels: "room:*" }];

export async function presenceRelay(
  overrides: object = {},
  options: Partial<RelayOptions> = {},
): Promise<Relay> {
  const { presence, ...others } = overrides as { presence?: object };
  const relay = await startTestRelay(
    { presence: { rules: RULES, grace: "300ms", ...presence }, ...others },
    options,
  );
  onTestFinished(() => relay.close());
  return relay;
}

export interface VisitorOptions {
  readonly channel?: string;
  readonly join?: boolean;
  readonly watch?: boolean;
  readonly info?: object;
  readonly lifetimeMs?: number;
  /** When the token was issued, ms; default now. */
  readonly issuedAt?: number;
  readonly claims?: object;
}

export function presenceToken(user: string, options: VisitorOptions = {}): Promise<string> {
  const { info, lifetimeMs, issuedAt = Date.now(), claims = {} } = options;
  return token(["room:*", "open:*"], {
    subject: user,
    now: issuedAt,
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
    claims: {
      presence: { join: ["*"], watch: ["*"], ...(info ? { info } : {}) },
      ...claims,
    },
  });
}

interface Entry {
  readonly user: string;
  readonly info?: object;
  readonly connections: number;
}

/** A client in one channel. */
export class Visitor {
  readonly client: Client;
  readonly channel: string;
  /** Whom it sees; undefined where there are too many, or before the first list. */
  members: Map<string, Entry> | undefined;
  count: number | undefined;
  /** All frames about members, in order. */
  readonly frames: Frame[] = [];
  /** All others. */
  readonly others: Frame[] = [];

  constructor(client: Client, channel: string) {
    this.client = client;
    this.channel = channel;
  }

  static async enter(relay: Relay, user: string, options: VisitorOptions = {}): Promise<Visitor> {
    const { channel = ROOM, join = true, watch = true } = options;
    const client = await Client.connect(relay, {
      token: await presenceToken(user, options),
      subscribe: [{ channel, presence: { join, watch } }],
    });
    const visitor = new Visitor(client, channel);
    await visitor.other("subscribed");
    return visitor;
  }

  /** Takes in what has arrived. */
  read(): void {
    for (const text of this.client.received.splice(0)) this.#take(JSON.parse(text) as Frame);
  }

  #take(frame: Frame): void {
    if (frame.op !== "members" && frame.op !== "presence") {
      this.others.push(frame);
      return;
    }
    this.frames.push(frame);
    this.count = frame.count as number;
    if (frame.op === "members") {
      const entries = frame.members as Entry[];
      const isFirst = this.frames.at(-2)?.op !== "members" || this.frames.at(-2)?.more !== true;
      if (isFirst || !this.members) this.members = new Map();
      for (const entry of entries) this.members.set(entry.user, entry);
    } else if (frame.listed === false) this.members = undefined;
    else {
      if (!this.members) throw new Error("a change came before any list");
      for (const user of frame.left as string[]) {
        if (!this.members.delete(user)) throw new Error(`${user} left who was not there`);
      }
      for (const entry of frame.joined as Entry[]) this.members.set(entry.user, entry);
    }
  }

  /** Waits until it sees exactly these users. */
  async sees(...users: string[]): Promise<void> {
    const wanted = [...users].sort().join();
    await until(`${wanted || "nobody"} to be seen`, () => {
      this.read();
      return this.members !== undefined && this.names === wanted;
    });
  }

  get names(): string {
    return [...(this.members?.keys() ?? [])].sort().join();
  }

  async counts(count: number): Promise<void> {
    await until(`${count} members`, () => {
      this.read();
      return this.count === count;
    });
  }

  /** The next frame with that op that is not about members. */
  async other(op: string): Promise<Frame> {
    let found: Frame | undefined;
    await until(`a frame ${op}`, () => {
      this.read();
      const at = this.others.findIndex((frame) => frame.op === op);
      if (at >= 0) [found] = this.others.splice(at, 1);
      return found !== undefined;
    });
    return found as Frame;
  }

  /** Frames since the last call. */
  news(): Frame[] {
    this.read();
    return this.frames.splice(0);
  }
}

/** Long enough for several ticks: whatever would be told has been told. */
export function afterTicks(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 700));
}

/** A publisher that speaks `rtm.publish.v1` by hand, and a log that can be told to refuse or to wait. */
import { onTestFinished } from "vitest";
import type { Appended, Log } from "../../relay/log/log.ts";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, type Frame, startTestRelay, testConfig } from "./support.ts";

/** A log in memory that takes nothing, or does not answer, while a test says so. */
export interface MoodyLog {
  readonly log: MemoryLog;
  /** Of the next appends; they are taken when there is no more. */
  readonly moods: ("take" | "refuse")[];
  /** Appends wait for it. */
  gate: Promise<void> | undefined;
  appends: number;
}

export function moodyLog(): MoodyLog {
  const clock = () => performance.now();
  const log = new MemoryLog({ duplicates: testConfig().duplicates, clock });
  const moody: MoodyLog = { log, moods: [], gate: undefined, appends: 0 };
  const append = log.append.bind(log);
  const refused: Appended = { status: "unavailable", code: "unavailable", message: "in no mood" };
  const moodily: Log["append"] = (batch, options) => {
    moody.appends++;
    if (moody.moods.shift() === "refuse") return batch.map(() => refused);
    if (!moody.gate) return append(batch, options);
    return moody.gate.then(() => append(batch, options));
  };
  Object.assign(log, { append: moodily });
  return moody;
}

/** A relay that ends with the test. */
export async function relayFor(
  overrides: object = {},
  options: Parameters<typeof startTestRelay>[1] = {},
): Promise<Relay> {
  const relay = await startTestRelay(overrides, options);
  onTestFinished(() => relay.close());
  return relay;
}

/** Opens a publishing socket; `ready` was read. */
export async function openPublisher(
  target: { readonly port: number },
  headers: Record<string, string> = { "x-api-key": API_KEY },
  path = "/api/publish",
): Promise<{ publisher: Client; ready: Frame }> {
  const publisher = await Client.open(target, path, { protocol: "rtm.publish.v1", headers });
  onTestFinished(() => publisher.terminate());
  return { publisher, ready: await publisher.next("ready") };
}

export const frame = (n: number, ...messages: object[]) => ({ op: "publish", n, messages });

/** One small message to a public channel. */
export const item = (n: number, more: object = {}) => ({
  channel: "public",
  eventName: "n",
  payload: n,
  id: `id-${n}`,
  ...more,
});

/** A reader of the public channel. */
export async function readerOf(target: { readonly port: number }): Promise<Client> {
  const reader = await Client.connect(target, { subscribe: [{ channel: "public" }] });
  onTestFinished(() => reader.terminate());
  await reader.nextN(2);
  return reader;
}

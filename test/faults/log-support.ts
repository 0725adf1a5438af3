/** Nodes on a log whose engine is being hurt, and what must be true of them whatever happens. */
import { expect, onTestFinished } from "vitest";
import type { Message } from "../../relay/contract/message.ts";
import type { Source } from "../../relay/contract/publisher.ts";
import type { Numbered } from "../../relay/log/log.ts";
import type { ValkeyLog, ValkeyLogOptions } from "../../relay/log/valkey/valkey-log.ts";
import { RecordingReader } from "../log-contract/reader.ts";
import { message } from "../log-contract/support.ts";
import { valkeyLog } from "../log-contract/valkey.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

export const SOURCE = { source: { name: "queue:RTM_OUT" } } as const;
/** How long a test waits for what takes a grace, a reconnect and a probe. */
export const PATIENCE = 30_000;

/** A node: its log, its reader, and everything that was acknowledged to it. */
export interface LogNode {
  readonly log: ValkeyLog;
  readonly reader: RecordingReader;
  readonly acknowledged: Numbered[];
}

export async function logNode(url: string, more: Partial<ValkeyLogOptions> = {}): Promise<LogNode> {
  const log = valkeyLog(url, more);
  const reader = new RecordingReader();
  onTestFinished(async () => {
    await log.close();
    expect(reader.violations).toEqual([]);
  });
  await log.follow(reader);
  return { log, reader, acknowledged: [] };
}

export async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await TcpProxy.to(port);
  onTestFinished(() => proxy.close());
  return proxy;
}

export const urlOf = ({ port }: { port: number }) => `redis://127.0.0.1:${port}`;

/** Gives a batch again until it is accepted, as the worker does. */
export async function publish(
  node: LogNode,
  batch: readonly Message[],
  source: Source = SOURCE.source,
): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const answers = await node.log.append(batch, { source });
    if (answers.every(({ status }) => status === "accepted")) {
      for (const [index, answer] of answers.entries()) {
        if (answer.status !== "accepted" || answer.duplicate) continue;
        node.acknowledged.push({ ...(batch[index] as Message), seq: answer.seq });
      }
      return;
    }
    if (performance.now() > deadline)
      throw new Error(`not accepted: ${JSON.stringify(answers[0])}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Publishes `count` batches of `size` messages named `<name>-<k>`. */
export async function publishMany(node: LogNode, name: string, count: number, size = 5) {
  for (let batch = 0; batch < count; batch++) {
    const from = batch * size;
    await publish(
      node,
      Array.from({ length: size }, (_, k) =>
        message(from + k, { id: `${name}-${from + k}`, channel: `c${k % 3}` }),
      ),
    );
  }
}

export const seen = ({ reader }: LogNode, name: string) =>
  reader.live.filter(({ id }) => id.startsWith(`${name}-`)).map(({ id }) => id);

/**
 * What is published now arrives everywhere, once and in order; and of what was acknowledged around
 * the change of the epoch, the new one has a run up to its end (what came before it is what pages
 * were told to refresh for).
 */
export async function expectWhole(name: string, count: number, ...nodes: LogNode[]): Promise<void> {
  const [publisher] = nodes as [LogNode];
  await untilSettled(...nodes);
  await publishMany(publisher, "final", 4);
  await untilSettled(...nodes);
  for (const node of nodes) {
    expect(seen(node, "final")).toEqual(ids("final", 20));
    expect(node.reader.messages).toEqual(publisher.reader.messages);
    const all = node.reader.messages.map(({ id }) => id);
    expect(new Set(all).size).toBe(all.length);
    const around = all.filter((id) => id.startsWith(`${name}-`));
    expect(around).toEqual(ids(name, count).slice(count - around.length));
  }
}

export const ids = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${name}-${n}`);

/** Everybody follows the same epoch and has all of it. */
export async function untilSettled(...nodes: LogNode[]): Promise<void> {
  for (const { log, reader } of nodes) {
    await until("caught up", async () => (await log.caughtUp(1000)) && reader.isCurrent, PATIENCE);
  }
  await until(
    "one epoch everywhere",
    () => nodes.every(({ log }) => log.epoch === nodes[0]?.log.epoch),
    PATIENCE,
  );
}

/** The node was told that positions of before are worth nothing. */
export async function untilReset(node: LogNode, epoch: string): Promise<void> {
  await until("told of a new epoch", () => node.log.epoch !== epoch, PATIENCE);
  expect(node.reader.resets.at(-1)).toMatchObject({ reason: "lost" });
}

/** Compares what one client saw with what the database committed. */
import type { LogRow } from "../../emulator/index.ts";
import type { ModelClient, Seen } from "./client.ts";

/**
 * Every reason why `client` is not as promised: each committed message once after removal by id, or
 * covered by a refresh that came after its commit; none that was rolled back; no message twice in
 * one epoch; per session and channel the order of the calls.
 */
export function verify(
  client: ModelClient,
  committed: readonly LogRow[],
  channels: readonly string[],
): string[] {
  const problems = [...client.problems];
  const ids = new Set(committed.map(({ messageId }) => messageId));
  const inEpoch = new Set<string>();
  const first = new Map<string, Seen>();
  for (const seen of client.stream) {
    const key = `${seen.epoch} ${seen.id}`;
    if (inEpoch.has(key)) problems.push(`twice in one epoch: ${JSON.stringify(seen)}`);
    inEpoch.add(key);
    if (!ids.has(seen.id)) problems.push(`never committed: ${JSON.stringify(seen)}`);
    if (!first.has(seen.id)) first.set(seen.id, seen);
  }
  for (const [index, { messageId, channel, payload }] of committed.entries()) {
    if (!channels.includes(channel!) || first.has(messageId)) continue;
    if (index < (client.refreshed.get(channel!) ?? 0)) continue;
    problems.push(`missing: row ${index}, ${channel} ${payload}`);
  }
  const last = new Map<string, number>();
  for (const { channel, payload } of first.values()) {
    const key = `${channel} of session ${payload.session}`;
    if (payload.n <= (last.get(key) ?? 0)) {
      problems.push(`order of ${key}: ${payload.n} after ${last.get(key)}`);
    }
    last.set(key, payload.n);
  }
  return problems;
}

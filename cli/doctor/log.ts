/** The part of `rtm doctor` for a log that many nodes share. */

import { formatSize } from "../../common/units.ts";
import { inspectEngine } from "../../relay/log/valkey/inspect.ts";
import { engineAddress } from "../../relay/open-log.ts";
import type { RtmConfig } from "../config.ts";
import { detailOf, milliseconds, type Report } from "./report.ts";

/** Says nothing where the log is in the node's own memory. */
export async function checkLog({ relay }: RtmConfig, report: Report): Promise<void> {
  if (relay.log.kind === "memory") return;
  const check = "log engine";
  try {
    const found = await inspectEngine(engineAddress(relay), relay.log.prefix);
    const { engine, roundTripMs, memory, entries, epoch, saves } = found;
    report({
      check,
      verdict: "ok",
      detail: `${engine.kind} ${engine.version}, answers in ${milliseconds(roundTripMs)}`,
    });
    report({
      check: "log",
      verdict: "ok",
      detail:
        epoch === undefined
          ? "empty: no node has used it yet"
          : `epoch ${epoch}, ${entries} entries`,
    });
    const { missingForEvents } = found;
    if (relay.clientEvents.channels.length > 0 && missingForEvents.length > 0) {
      report({
        check: "client events",
        verdict: "FAILED",
        detail: `they do not reach other nodes: the engine's user lacks ${missingForEvents.join(" ")}`,
        fix: "give it the rights that docs/cluster.md lists",
      });
    }
    const needed = 2 * (relay.log.bytes ?? relay.history.totalBytes);
    const free = memory.max === 0 ? undefined : memory.max - memory.used;
    if (free !== undefined && memory.max < needed) {
      report({
        check: "log memory",
        verdict: "warning",
        detail: `maxmemory is ${formatSize(memory.max)}, and the log may take ${formatSize(needed)}`,
        fix: "raise maxmemory, or lower relay.log.bytes",
      });
    } else {
      const limit = memory.max === 0 ? "no maxmemory" : `maxmemory ${formatSize(memory.max)}`;
      report({ check: "log memory", verdict: "ok", detail: limit });
    }
    if (!found.policyKnown) {
      report({
        check: "log eviction",
        verdict: "not visible",
        detail: "the engine does not show maxmemory_policy",
        fix: "make sure that it is noeviction",
      });
    }
    report({
      check: "log persistence",
      verdict: "ok",
      detail: saves ? "append-only file" : "no append-only file: a restart loses the history",
    });
  } catch (error) {
    report({
      check,
      verdict: "FAILED",
      detail: detailOf(error),
      fix: `see ${(error as { code?: string }).code ?? "RTM_LOG_UNREACHABLE"} in docs/errors.md`,
    });
  }
}

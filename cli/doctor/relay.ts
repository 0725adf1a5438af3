/** The relay part of `rtm doctor`. */
import { messageOf } from "../../common/errors.ts";
import { IDS_HEADER } from "../../relay/contract/protocol.ts";
import type { RtmConfig } from "../config.ts";
import { readPublishKey } from "../service/publish-key.ts";
import { checkOrigin } from "./origin.ts";
import { milliseconds, type Report } from "./report.ts";
import { checkWebSocket } from "./web-socket.ts";

const ANSWER_LIMIT_MS = 5_000;

/** Where the relay of this configuration is reached from here; undefined on a port 0. */
export function relayUrl({ worker, relay }: RtmConfig): string | undefined {
  if (worker.publishUrl !== undefined) return worker.publishUrl;
  return relay.port === 0 ? undefined : httpUrl(relay.host, relay.port);
}

/** A listener on all addresses is reached on loopback. */
function httpUrl(host: string, port: number): string {
  const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

async function ask(url: URL, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
  } catch (error) {
    throw (error as Error).cause ?? error;
  }
}

/** Returns whether the relay takes messages. */
export async function checkRelay(config: RtmConfig, url: string, report: Report): Promise<boolean> {
  const check = `relay ${url}`;
  let ready: boolean;
  try {
    const began = performance.now();
    const response = await ask(new URL("/readyz", url));
    const took = milliseconds(performance.now() - began);
    const body = (await response.json().catch(() => undefined)) as { ready?: boolean } | undefined;
    if (typeof body?.ready !== "boolean") {
      report({
        check,
        verdict: "FAILED",
        detail: `something else answers there, with ${response.status}`,
        fix: "check worker.publishUrl or relay.port, and the proxy",
      });
      return false;
    }
    ({ ready } = body);
    report({ check, verdict: "ok", detail: `answers in ${took}` });
  } catch (error) {
    report({
      check,
      verdict: "FAILED",
      detail: `cannot be reached: ${messageOf(error)}`,
      fix: "start the service (systemctl start rtm), or check the URL and the firewall",
    });
    return false;
  }
  await checkWebSocket(url, report);
  if (config.worker.publishUrl !== undefined) await checkKey(config, url, report);
  await checkReadiness(config, ready, report);
  if (ready) await checkOrigin(config, url, report);
  return ready;
}

/** Posts an empty list: it says whether the key is accepted and publishes nothing. */
async function checkKey(config: RtmConfig, url: string, report: Report): Promise<void> {
  const check = "publish key";
  try {
    const key = readPublishKey(config);
    const response = await ask(new URL("/api/broadcast", url), {
      method: "POST",
      headers: {
        "content-type": "application/json",
        [IDS_HEADER]: "keep",
        ...(key ? { "x-api-key": key } : {}),
      },
      body: "[]",
    });
    const refused = response.status === 401 || response.status === 403;
    const untrusted = (await response.text()).includes('"key_not_trusted"');
    const fix = untrusted
      ? "set trusted to true for this key in the relay's apiKeys, and reload it"
      : "worker.publishKeyFile must hold one of the relay's apiKeys";
    report({
      check,
      verdict: refused ? "FAILED" : "ok",
      detail: refused
        ? `refused with ${response.status}${untrusted ? ": not trusted" : ""}`
        : "accepted",
      ...(refused && { fix }),
    });
  } catch (error) {
    const fix = "check worker.publishKeyFile and the proxy's rules for /api/broadcast";
    report({ check, verdict: "FAILED", detail: messageOf(error), fix });
  }
}

interface Reason {
  readonly code: string;
  readonly message: string;
}

interface Reasons {
  readonly reasons: readonly Reason[];
  readonly warnings: readonly Reason[];
}

/** The reasons are on the admin listener, which only this machine can ask. */
async function checkReadiness(
  { service: { admin } }: RtmConfig,
  ready: boolean,
  report: Report,
): Promise<void> {
  const check = "readiness";
  let reasons: readonly Reason[] = [];
  let warnings: readonly Reason[] = [];
  let known = false;
  if (admin.enabled && admin.port !== 0) {
    try {
      const response = await ask(new URL("/readyz", httpUrl(admin.host, admin.port)));
      ({ reasons, warnings } = (await response.json()) as Reasons);
      known = true;
    } catch {
      // The relay may run on another machine.
    }
  }
  const list = (entries: readonly Reason[]) =>
    entries.map(({ code, message }) => `${code} (${message})`).join(", ");
  if (!ready) {
    const standby = reasons.some(({ code }) => code === "standby");
    report({
      check,
      verdict: standby ? "warning" : "FAILED",
      detail: known ? `not ready: ${list(reasons)}` : "not ready",
      fix: known ? "see docs/operations.md" : "ask /readyz of its admin listener for the reasons",
    });
  } else if (warnings.length > 0) {
    report({ check, verdict: "warning", detail: list(warnings), fix: "see docs/operations.md" });
  } else report({ check, verdict: "ok", detail: "ready" });
}

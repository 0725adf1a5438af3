/** The relay part of `rtm doctor`. */
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { IDS_HEADER } from "../../relay/contract/protocol.ts";
import { AnswerError, ask, jsonOf } from "../ask.ts";
import type { RtmConfig } from "../config.ts";
import { below } from "../relay-url.ts";
import { readPublishKey } from "../service/publish-key.ts";
import { checkOrigin } from "./origin.ts";
import { milliseconds, type Report } from "./report.ts";
import { checkWebSocket } from "./web-socket.ts";

const ANSWER_LIMIT_MS = 5_000;

/** Where the relay of this configuration is reached from here; undefined on a port 0. */
export function ownRelayUrl({ worker, relay }: RtmConfig): string | undefined {
  if (worker.publishUrl !== undefined) return worker.publishUrl;
  return relay.port === 0 ? undefined : httpUrl(relay.host, relay.port);
}

/** A listener on all addresses is reached on loopback. */
function httpUrl(host: string, port: number): string {
  const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

const readiness = z.object({ ready: z.boolean() });
const reason = z.object({ code: z.string(), message: z.string() });
const reasonsAnswer = z.object({ reasons: z.array(reason), warnings: z.array(reason) });
type Reason = z.output<typeof reason>;

/** Something answers that is no relay, or cannot be asked as one. */
const SOMETHING_ELSE = "check worker.publishUrl or relay.port, and the proxy";

/** Returns whether the relay takes messages. */
export async function checkRelay(config: RtmConfig, url: string, report: Report): Promise<boolean> {
  const check = `relay ${url}`;
  let ready: boolean;
  try {
    const began = performance.now();
    const answer = await ask(below(url, "readyz"), {}, ANSWER_LIMIT_MS);
    const took = milliseconds(performance.now() - began);
    const body = readiness.safeParse(jsonOf(answer));
    if (!body.success) throw new AnswerError(`it answers with ${answer.status}`);
    ({ ready } = body.data);
    report({ check, verdict: "ok", detail: `answers in ${took}` });
  } catch (error) {
    const strange = error instanceof AnswerError;
    const detail = strange
      ? `something else answers there: ${error.message}`
      : `cannot be reached: ${messageOf(error)}`;
    const fix = strange
      ? SOMETHING_ELSE
      : "start the service (systemctl start rtm), or check the URL and the firewall";
    report({ check, verdict: "FAILED", detail, fix });
    return false;
  }
  await checkWebSocket(url, report);
  if (config.worker.publishUrl !== undefined) await checkKey(config, url, report);
  await checkReadiness(config, ready, report);
  if (ready) await checkOrigin(config, url, report);
  return ready;
}

/** 429: the relay has refused too much of this address. */
const REFUSED = new Set([401, 403, 429]);

/** Posts an empty list: it says whether the key is accepted and publishes nothing. */
async function checkKey(config: RtmConfig, url: string, report: Report): Promise<void> {
  const check = "publish key";
  try {
    const key = readPublishKey(config);
    const headers = {
      "content-type": "application/json",
      [IDS_HEADER]: "keep",
      ...(key ? { "x-api-key": key } : {}),
    };
    const target = below(url, "api/broadcast");
    const answer = await ask(target, { method: "POST", headers, body: "[]" }, ANSWER_LIMIT_MS);
    const refused = REFUSED.has(answer.status);
    const untrusted = answer.text.includes('"key_not_trusted"');
    const fix = untrusted
      ? "set trusted to true for this key in the relay's apiKeys, and reload it"
      : "worker.publishKeyFile must hold one of the relay's apiKeys";
    report({
      check,
      verdict: refused ? "FAILED" : "ok",
      detail: refused
        ? `refused with ${answer.status}${untrusted ? ": not trusted" : ""}`
        : "accepted",
      ...(refused && { fix }),
    });
  } catch (error) {
    const fix = "check worker.publishKeyFile and the proxy's rules for /api/broadcast";
    report({ check, verdict: "FAILED", detail: messageOf(error), fix });
  }
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
      const target = new URL("/readyz", httpUrl(admin.host, admin.port));
      const answer = await ask(target, {}, ANSWER_LIMIT_MS);
      ({ reasons, warnings } = reasonsAnswer.parse(jsonOf(answer)));
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

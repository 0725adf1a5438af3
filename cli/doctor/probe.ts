/**
 * `rtm doctor --probe`: one message the whole way, from WEBSOCKET_API to a WebSocket, with the time
 * of each leg.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";
import { messageOf } from "../../common/errors.ts";
import { formatDuration } from "../../common/units.ts";
import { type MessageFrame, type ServerFrame, SUBPROTOCOL } from "../../relay/contract/protocol.ts";
import { qualifiedName } from "../../worker/known-queue.ts";
import { apiOwner, RtmWorkerApi } from "../../worker/rtm-worker-api.ts";
import type { Session } from "../../worker/session.ts";
import type { RtmConfig } from "../config.ts";
import { CommandError } from "../exit.ts";
import { webSocketBelow } from "../relay-url.ts";
import { givenToken, mintWith } from "../token.ts";
import { detailOf, milliseconds, type Report } from "./report.ts";

const CHANNEL = "rtm:probe";
const CHECK = "probe";
/** Room for the two waits before the message. */
const TOKEN_MARGIN_MS = 60_000;

export interface ProbeOptions {
  readonly url: string;
  readonly timeoutMs: number;
  readonly tokenFile?: string | undefined;
}

/** Reports one line. */
export async function probe(
  session: Session,
  config: RtmConfig,
  options: ProbeOptions,
  report: Report,
): Promise<void> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  let socket: WebSocket | undefined;
  try {
    socket = await subscribe(config, options, deadline);
    const name = await qualifiedName(session, config.worker.queues[0]!.name);
    const api = new RtmWorkerApi(session, apiOwner(config.worker, name));
    const pingMs = await pingTime(socket, deadline);

    const nonce = randomUUID();
    const arrived = arrival(socket, nonce, deadline);
    // Awaited below; a failure before that must not be an unhandled one.
    arrived.catch(() => {});
    const began = performance.now();
    const transport = await api.probe(nonce, CHANNEL);
    const called = performance.now();
    await session.commit();
    const committed = performance.now();
    const received = await arrived;
    report({
      check: CHECK,
      verdict: "ok",
      detail:
        `${transport}: call ${milliseconds(called - began)}, commit ${milliseconds(committed - called)}, ` +
        // The message may overtake the answer to the commit.
        `commit to WebSocket ${milliseconds(Math.max(0, received - committed))} ` +
        `(a ping to the relay and back takes ${milliseconds(pingMs)})`,
    });
  } catch (error) {
    const late = deadline.aborted;
    report({
      check: CHECK,
      verdict: "FAILED",
      detail: late
        ? `nothing arrived within ${formatDuration(options.timeoutMs)}`
        : detailOf(error),
      fix: late
        ? "is a worker running and dequeuing this queue, and does it post to this relay? See the lines above"
        : "see docs/operations.md, Nothing arrives",
    });
  } finally {
    socket?.terminate();
  }
}

async function tokenFor(config: RtmConfig, options: ProbeOptions): Promise<string | undefined> {
  const given = givenToken(options.tokenFile);
  if (given !== undefined || config.relay.tokens.secrets.length === 0) return given;
  return mintWith(config.relay, {
    subject: "rtm-doctor",
    channels: [CHANNEL],
    lifetimeMs: options.timeoutMs + TOKEN_MARGIN_MS,
  });
}

/** A socket that is subscribed to the probe's channel. */
async function subscribe(
  config: RtmConfig,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<WebSocket> {
  const token = await tokenFor(config, options);
  const target = webSocketBelow(options.url);
  const socket = new WebSocket(target, SUBPROTOCOL, { handshakeTimeout: options.timeoutMs });
  try {
    await once(socket, "open", { signal });
    const connect = { op: "connect", token, subscribe: [{ channel: CHANNEL }] };
    await waitForFrame(
      socket,
      (frame) => {
        if ("op" in frame && frame.op === "error") {
          throw new CommandError(
            `the relay refused the subscription: ${frame.message} (${frame.code})`,
          );
        }
        return "op" in frame && frame.op === "subscribed";
      },
      signal,
      () => socket.send(JSON.stringify(connect)),
    );
    return socket;
  } catch (error) {
    socket.on("error", () => {});
    socket.terminate();
    throw new CommandError(`the WebSocket failed: ${messageOf(error)}`, { cause: error });
  }
}

/** Resolves when `wanted` says so; rejects on a close, on what `wanted` throws, and on the signal. */
function waitForFrame(
  socket: WebSocket,
  wanted: (frame: ServerFrame | MessageFrame) => boolean,
  signal: AbortSignal,
  begin: () => void = () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      socket.off("message", onMessage).off("close", onClose).off("error", reject);
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const onMessage = (data: WebSocket.RawData) => {
      try {
        if (wanted(JSON.parse(data.toString()))) settle(resolve);
      } catch (error) {
        settle(() => reject(error));
      }
    };
    const onClose = (code: number, reason: Buffer) =>
      settle(() => reject(new CommandError(`the relay closed: ${code} ${reason.toString()}`)));
    const onAbort = () => settle(() => reject(signal.reason));
    socket.on("message", onMessage).on("close", onClose).on("error", reject);
    signal.addEventListener("abort", onAbort, { once: true });
    begin();
  });
}

async function pingTime(socket: WebSocket, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const pong = once(socket, "pong", { signal });
  socket.ping();
  await pong;
  return performance.now() - began;
}

/** When the probe's own message arrived. */
async function arrival(socket: WebSocket, nonce: string, signal: AbortSignal): Promise<number> {
  await waitForFrame(
    socket,
    (frame) => !("op" in frame) && (frame.payload as { probe?: unknown } | null)?.probe === nonce,
    signal,
  );
  return performance.now();
}

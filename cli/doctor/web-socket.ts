/** Whether a page's WebSocket gets through to the relay, proxies included. Nothing is subscribed. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import WebSocket from "ws";
import { messageOf } from "../../common/errors.ts";
import { formatDuration } from "../../common/units.ts";
import { SUBPROTOCOL } from "../../relay/contract/protocol.ts";
import { webSocketBelow } from "../relay-url.ts";
import { milliseconds, type Report } from "./report.ts";

const LIMIT_MS = 5_000;
const PROXY =
  "the proxy has to pass the headers Upgrade and Connection on for /ws (nginx/rtm-proxy.inc; docs/install-oracle-linux.md)";

/** Opens a WebSocket at the relay's URL and closes it. Reports one line. */
export async function checkWebSocket(url: string, report: Report): Promise<void> {
  const check = "websocket";
  const target = webSocketBelow(url);
  const began = performance.now();
  const socket = new WebSocket(target, SUBPROTOCOL, { handshakeTimeout: LIMIT_MS });
  // The handshake's own limit counts silence only, and somebody may answer byte by byte.
  const deadline = AbortSignal.timeout(LIMIT_MS);
  let answer: IncomingMessage | undefined;
  socket.on("unexpected-response", (_request, response) => {
    answer = response;
    socket.emit("error", new Error(`the answer to an upgrade is ${response.statusCode}`));
  });
  try {
    await once(socket, "open", { signal: deadline });
    const took = milliseconds(performance.now() - began);
    report({ check, verdict: "ok", detail: `opens at ${target} in ${took}` });
  } catch (error) {
    const why = deadline.aborted
      ? `no whole answer within ${formatDuration(LIMIT_MS)}`
      : messageOf(error);
    const detail = `${target}: ${why}`;
    report({ check, verdict: "FAILED", detail, fix: fixOf(answer?.statusCode) });
  } finally {
    socket.on("error", () => {});
    socket.terminate();
  }
}

/** The relay itself answers 404 or 426 to a request for /ws that has lost its header Upgrade. */
function fixOf(status: number | undefined): string {
  if (status === 404 || status === 426 || status === 400) return PROXY;
  if (status === 401 || status === 403)
    return "the proxy asks for a logon or forbids /ws: let it pass";
  if (status === 503) {
    return "the node does not serve: it starts, stops, stands by or does not hear its shared log (see readiness)";
  }
  if (status !== undefined) return `something before the relay answered; ${PROXY}`;
  return "the connection breaks off although /readyz answers: a proxy or firewall forbids WebSockets";
}

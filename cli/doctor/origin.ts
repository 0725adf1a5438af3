/** Whether the Origin of a page gets through to the relay. */
import WebSocket from "ws";
import { printable } from "../../common/printable.ts";
import { CLOSE, SUBPROTOCOL } from "../../relay/contract/protocol.ts";
import type { RtmConfig } from "../config.ts";
import { webSocketBelow } from "../relay-url.ts";
import type { Report } from "./report.ts";

const ANSWER_LIMIT_MS = 5_000;
/** RFC 2606: nobody has it. */
const STRANGE_ORIGIN = "https://doctor.invalid";
const PAGE = "docs/security.md, Proxies and Origin";
/** Longest piece of a proxy's answer that is shown. */
const MAX_ANSWER = 200;

/** How far a WebSocket got. */
type Outcome =
  /** The relay spoke: with a frame (undefined) or a close code. */
  | { readonly close: number | undefined }
  /** It was never opened. */
  | { readonly problem: string };

/** Opens a WebSocket as a page of `origin` does, without a token. */
function tryOrigin(url: string, origin: string | undefined): Promise<Outcome> {
  const target = webSocketBelow(url);
  const socket = new WebSocket(target, SUBPROTOCOL, {
    handshakeTimeout: ANSWER_LIMIT_MS,
    ...(origin === undefined ? {} : { origin }),
  });
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => finish({ problem: "opens, but the relay says nothing" }),
      ANSWER_LIMIT_MS,
    );
    const finish = (outcome: Outcome) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.terminate();
      resolve(outcome);
    };
    socket.on("open", () => socket.send('{"op":"connect"}'));
    socket.on("message", () => finish({ close: undefined }));
    socket.on("close", (close) => finish({ close }));
    socket.on("error", ({ message }) => finish({ problem: message }));
    socket.on("unexpected-response", (_request, response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text = (text + piece).slice(0, MAX_ANSWER);
      });
      response.on("close", () =>
        finish({ problem: `refused with HTTP ${response.statusCode}: ${printable(text)}` }),
      );
    });
  });
}

export async function checkOrigin(
  { relay: { origins, insecure } }: RtmConfig,
  url: string,
  report: Report,
): Promise<void> {
  const check = "Origin";
  const everybody = origins.includes("*") || (insecure && origins.length === 0);
  if (everybody) return;
  const own = origins[0];
  const outcome = await tryOrigin(url, own);
  // Whether it opens at all is another check's.
  if ("problem" in outcome) return;
  if (outcome.close === CLOSE.origin_not_allowed) {
    report({
      check,
      verdict: "FAILED",
      detail: `a page of ${own} is refused: another Origin arrives, or none of its relay.origins is it`,
      fix: `see ${PAGE}`,
    });
    return;
  }
  const strange = await tryOrigin(url, STRANGE_ORIGIN);
  const refused = "problem" in strange || strange.close === CLOSE.origin_not_allowed;
  report({
    check,
    verdict: refused ? "ok" : "warning",
    detail: refused
      ? "pages of strange origins are refused"
      : "a page of a strange origin is let in: a proxy on the way sets or strips Origin, so relay.origins protects nothing",
    ...(!refused && { fix: `see ${PAGE}` }),
  });
}

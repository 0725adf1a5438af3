/** From an HTTP upgrade to a connection: what a client wants, and whether it may come in. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { CLOSE, SUBPROTOCOL } from "../contract/protocol.ts";
import { closeReason } from "../wire/wire.ts";
import { type Admission, seen, type Unwanted } from "./admission.ts";
import type { Clients } from "./clients.ts";
import type { Peer } from "./peer.ts";
import { PlainConnection, parsePlainRequest } from "./plain-connection.ts";
import {
  answerUpgrade,
  HANDSHAKE_REFUSALS,
  type HandshakeRefusal,
  MALFORMED,
  type RefusalAnswer,
} from "./refused-handshake.ts";
import { RtmConnection } from "./rtm-connection.ts";
import { RelaySocket, WebSocketPeer } from "./websocket-peer.ts";

const PATHS = new Set(["/", "/ws"]);
/** How long `ws` waits for the other side's close frame, ms. */
const CLOSE_TIMEOUT_MS = 5000;
/** Frames that a client may part one message into: what is counted as a command is the message. */
const MAX_FRAGMENTS = 64;

/** Nearly every page asks for these, without a query. */
function isBare({ url = "" }: IncomingMessage): boolean {
  return PATHS.has(url);
}

function parseUrl({ url = "" }: IncomingMessage): URL | undefined {
  try {
    return new URL(url.startsWith("/") ? `http://relay${url}` : url);
  } catch {
    return undefined;
  }
}

/**
 * Whether a request is for us and not for Node's HTTP: a server may ignore the wish for another
 * protocol (RFC 9110 section 7.8), and Java's HttpClient sends "h2c" by default. Node asks this from
 * 22.21 and 24.9 on; before, such requests end here.
 */
export function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

function subprotocols(request: IncomingMessage): string[] | undefined {
  return request.headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim());
}

export interface Upgrades {
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Refuses an upgrade that is handled elsewhere, and says so where an administrator looks. */
  refuse(request: IncomingMessage, socket: Duplex, reason: HandshakeRefusal, detail?: string): void;
  /** Answers what came to a WebSocket's place without the header Upgrade. False for all else. */
  handleLost(request: IncomingMessage, response: ServerResponse): boolean;
  /** Bytes that are no HTTP request, or a request that takes too long. */
  handleMalformed(error: Error & { readonly code?: string }, socket: Duplex): void;
  close(): void;
}

export function createUpgrades(clients: Clients, admission: Admission): Upgrades {
  const { config, farewells, addressLimits } = clients;
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: config.limits.frameBytes,
    maxFragments: MAX_FRAGMENTS,
    // Answered by the connection, which counts the bytes.
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (offered: ReadonlySet<string>): string | false =>
      offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false,
    WebSocket: RelaySocket,
  };
  const server = new WebSocketServer(options);

  /** A handshake becomes no WebSocket: says so where an administrator looks. */
  function note(reason: HandshakeRefusal, address: string | undefined, fields: object = {}): void {
    clients.stats.handshakeRefused(reason);
    // Not what the client did.
    const ours = reason === "address" || reason === "not_serving";
    if (!ours) addressLimits.refused(address, performance.now());
    const key = `handshake ${reason}`;
    clients.warnings.warn(key, { reason, address, ...fields }, "handshake refused");
  }

  function answer(socket: Duplex, reason: HandshakeRefusal, detail?: string): void {
    const { status, text, headers }: RefusalAnswer = HANDSHAKE_REFUSALS[reason];
    farewells.refused(socket);
    answerUpgrade(socket, { status, text: detail ?? text, headers });
  }

  /** Refuses before the WebSocket exists: nothing a page could read. */
  function refuse(
    request: IncomingMessage,
    socket: Duplex,
    reason: HandshakeRefusal,
    detail?: string,
  ): void {
    note(reason, clients.addressOf(request), seen(request));
    answer(socket, reason, detail);
  }

  // What `ws` finds wrong with a handshake.
  server.on("wsClientError", (error: Error, socket: Duplex, request: IncomingMessage) =>
    refuse(request, socket, "handshake", `${error.message}; this is a WebSocket endpoint.`),
  );

  return {
    refuse,
    handle(request, socket, head) {
      socket.on("error", () => {});
      if (!isWebSocket(request)) return refuse(request, socket, "protocol");
      const url = isBare(request) ? undefined : parseUrl(request);
      if (!isBare(request) && !PATHS.has(url?.pathname ?? "")) {
        return refuse(request, socket, "path");
      }
      const offered = subprotocols(request);
      if (offered && !offered.includes(SUBPROTOCOL)) return refuse(request, socket, "subprotocol");
      const { passOn } = admission;
      if (passOn !== undefined) return refuse(request, socket, "not_serving", passOn);
      const address = clients.addressOf(request);
      const unwanted = admission.refusalOf(request);
      if (admission.shutsOut(address, unwanted !== undefined))
        return refuse(request, socket, "address");
      server.handleUpgrade(request, socket, head, (ws) => {
        const { makeWire } = clients;
        const peer = () =>
          new WebSocketPeer({ ws: ws as RelaySocket, socket, address, makeWire, farewells });
        const refusal =
          unwanted ??
          accept(
            clients,
            peer,
            offered === undefined ? (url?.searchParams ?? new URLSearchParams()) : undefined,
          );
        if (!refusal) return;
        clients.closing(refusal.name, address, { origin: seen(request).origin });
        ws.on("error", () => {});
        farewells.refused(socket);
        ws.close(CLOSE[refusal.name], closeReason(refusal.reason));
      });
    },
    handleLost(request, response) {
      const { headers, url = "" } = request;
      const keyed = headers["sec-websocket-key"] !== undefined;
      if (!keyed && url.split("?", 1)[0] !== "/ws") return false;
      note("upgrade_missing", clients.addressOf(request), seen(request));
      const { status, text } = HANDSHAKE_REFUSALS.upgrade_missing;
      response.writeHead(status, {
        upgrade: "websocket",
        connection: "Upgrade, close",
        "content-type": "text/plain; charset=utf-8",
      });
      response.end(text);
      return true;
    },
    handleMalformed(error, socket) {
      if (!socket.writable || error.code === "ECONNRESET") {
        socket.destroy();
        return;
      }
      const reason = MALFORMED[error.code ?? ""] ?? "request_malformed";
      // Without headers nobody knows for whom a proxy speaks.
      const { remoteAddress } = socket as Socket;
      const address = remoteAddress && clients.trust(remoteAddress, 0) ? undefined : remoteAddress;
      note(reason, address);
      answer(socket, reason);
    },
    close() {
      server.close();
    },
  };
}

/** Makes the connection; returns why it cannot. */
function accept(
  clients: Clients,
  makePeer: () => Peer,
  plain: URLSearchParams | undefined,
): Unwanted | undefined {
  if (!plain) {
    new RtmConnection(clients, makePeer());
    return undefined;
  }
  const parsed = parsePlainRequest(plain, {
    firehose: clients.config.compat.firehose,
    maxChannels: clients.config.limits.channels,
  });
  if ("close" in parsed) return { name: parsed.close, reason: parsed.reason };
  new PlainConnection(clients, makePeer(), parsed);
  return undefined;
}

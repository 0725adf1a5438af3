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

/** Why an upgrade is refused before there is a WebSocket. */
interface Refused {
  readonly reason: HandshakeRefusal;
  readonly detail?: string;
}

/** The WebSockets of clients: each upgrade becomes a connection, or is refused. */
export class Upgrades {
  readonly #clients: Clients;
  readonly #admission: Admission;
  readonly #server: WebSocketServer;

  constructor(clients: Clients, admission: Admission) {
    this.#clients = clients;
    this.#admission = admission;
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: clients.config.limits.frameBytes,
      maxFragments: MAX_FRAGMENTS,
      // Answered by the connection, which counts the bytes.
      autoPong: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offered: ReadonlySet<string>): string | false =>
        offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false,
      WebSocket: RelaySocket,
    };
    this.#server = new WebSocketServer(options);
    // What `ws` finds wrong with a handshake.
    this.#server.on("wsClientError", (error: Error, socket: Duplex, request: IncomingMessage) =>
      this.refuse(request, socket, "handshake", `${error.message}; this is a WebSocket endpoint.`),
    );
  }

  /** Takes the upgrade or refuses it. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    const url = isBare(request) ? undefined : parseUrl(request);
    const offered = subprotocols(request);
    const refused = this.#refusalOf(request, url, offered);
    if (refused) {
      this.refuse(request, socket, refused.reason, refused.detail);
      return;
    }
    const address = this.#clients.addressOf(request);
    const unwanted = this.#admission.refusalOf(request);
    if (this.#admission.shutsOut(address, unwanted !== undefined)) {
      this.refuse(request, socket, "address");
      return;
    }
    const plain = offered === undefined ? (url?.searchParams ?? new URLSearchParams()) : undefined;
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const { makeWire, farewells } = this.#clients;
      const peer = () =>
        new WebSocketPeer({ ws: ws as RelaySocket, socket, address, makeWire, farewells });
      const refusal = unwanted ?? accept(this.#clients, peer, plain);
      if (!refusal) return;
      this.#clients.closing(refusal.name, address, { origin: seen(request).origin });
      ws.on("error", () => {});
      farewells.refused(socket);
      ws.close(CLOSE[refusal.name], closeReason(refusal.reason));
    });
  }

  /** What is wrong with the request itself, and whether this node is the one to ask. */
  #refusalOf(
    request: IncomingMessage,
    url: URL | undefined,
    offered: readonly string[] | undefined,
  ): Refused | undefined {
    if (!isWebSocket(request)) return { reason: "protocol" };
    if (!isBare(request) && !PATHS.has(url?.pathname ?? "")) return { reason: "path" };
    if (offered && !offered.includes(SUBPROTOCOL)) return { reason: "subprotocol" };
    const { passOn } = this.#admission;
    return passOn === undefined ? undefined : { reason: "not_serving", detail: passOn };
  }

  /**
   * Refuses an upgrade, also one that is handled elsewhere, before a WebSocket exists: nothing that a
   * page could read. Says so where an administrator looks.
   */
  refuse(
    request: IncomingMessage,
    socket: Duplex,
    reason: HandshakeRefusal,
    detail?: string,
  ): void {
    this.#note(reason, this.#clients.addressOf(request), seen(request));
    this.#answer(socket, reason, detail);
  }

  /** Answers what came to a WebSocket's place without the header Upgrade. False for all else. */
  answerWithoutUpgrade(request: IncomingMessage, response: ServerResponse): boolean {
    const { headers, url = "" } = request;
    const keyed = headers["sec-websocket-key"] !== undefined;
    if (!keyed && url.split("?", 1)[0] !== "/ws") return false;
    this.#note("upgrade_missing", this.#clients.addressOf(request), seen(request));
    const { status, text } = HANDSHAKE_REFUSALS.upgrade_missing;
    response.writeHead(status, {
      upgrade: "websocket",
      connection: "Upgrade, close",
      "content-type": "text/plain; charset=utf-8",
    });
    response.end(text);
    return true;
  }

  /** Bytes that are no HTTP request, or a request that takes too long. */
  handleMalformed(error: Error & { readonly code?: string }, socket: Duplex): void {
    if (!socket.writable || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    const reason = MALFORMED[error.code ?? ""] ?? "request_malformed";
    // Without headers nobody knows for whom a proxy speaks.
    const { remoteAddress } = socket as Socket;
    const isProxy = remoteAddress !== undefined && this.#clients.trust(remoteAddress, 0);
    this.#note(reason, isProxy ? undefined : remoteAddress);
    this.#answer(socket, reason);
  }

  close(): void {
    this.#server.close();
  }

  /** A handshake becomes no WebSocket: says so where an administrator looks. */
  #note(reason: HandshakeRefusal, address: string | undefined, fields: object = {}): void {
    const { stats, addressLimits, warnings } = this.#clients;
    stats.handshakeRefused(reason);
    // Not what the client did.
    const ours = reason === "address" || reason === "not_serving";
    if (!ours) addressLimits.refused(address, performance.now());
    warnings.warn(`handshake ${reason}`, { reason, address, ...fields }, "handshake refused");
  }

  #answer(socket: Duplex, reason: HandshakeRefusal, detail?: string): void {
    const { status, text, headers }: RefusalAnswer = HANDSHAKE_REFUSALS[reason];
    this.#clients.farewells.refused(socket);
    answerUpgrade(socket, { status, text: detail ?? text, headers });
  }
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

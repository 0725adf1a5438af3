/** From an HTTP upgrade to a connection: what a client wants, and whether it may come in. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import proxyAddr from "proxy-addr";
import { WebSocketServer } from "ws";
import { originOf } from "../config.ts";
import { CLOSE, type CloseName, SUBPROTOCOL } from "../contract/protocol.ts";
import type { Serving } from "../serving.ts";
import { closeReason } from "../wire/wire.ts";
import { RelaySocket } from "./client-connection.ts";
import type { Clients } from "./clients.ts";
import { PlainConnection, parsePlainRequest } from "./plain-connection.ts";
import { RtmConnection } from "./rtm-connection.ts";

const PATHS = new Set(["/", "/ws"]);
/** How long `ws` waits for the other side's close frame, ms. */
const CLOSE_TIMEOUT_MS = 5000;

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

/** Why a client that could open a WebSocket is closed at once; undefined when it may stay. */
function refusalOf(
  clients: Clients,
  serving: Serving,
  origins: ReadonlySet<string>,
  request: IncomingMessage,
): { name: CloseName; reason: string } | undefined {
  const { config, stats } = clients;
  if (serving.closeName) return { name: serving.closeName, reason: serving.problem as string };
  const { origin } = request.headers;
  const checked = origin !== undefined && !(config.insecure && origins.size === 0);
  if (checked && !origins.has("*") && !origins.has(originOf(origin) ?? "")) {
    stats.authFailed("origin_not_allowed");
    return { name: "origin_not_allowed", reason: "add the page's origin to relay.origins" };
  }
  if (clients.connections.size >= config.limits.connections) {
    return { name: "too_many_connections", reason: "the connection limit is reached" };
  }
  return undefined;
}

export interface Upgrades {
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends what was refused and has not gone yet. */
  close(): void;
}

export function createUpgrades(clients: Clients, serving: Serving): Upgrades {
  const { config } = clients;
  const origins = new Set(config.origins.map((origin) => originOf(origin) as string));
  const trust = proxyAddr.compile([...config.trustedProxies]);
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: config.limits.frameBytes,
    // Answered by the connection, which counts the bytes.
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (offered: ReadonlySet<string>): string | false =>
      offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false,
    WebSocket: RelaySocket,
  };
  const server = new WebSocketServer(options);
  const refused = new Set<Duplex>();

  /** The peer has a moment to read why; nothing else watches this socket. */
  function letGo(socket: Duplex): void {
    refused.add(socket);
    const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref();
    socket.once("close", () => {
      clearTimeout(timer);
      refused.delete(socket);
    });
  }

  /** Refuses before the WebSocket exists: nothing a page could read. */
  function refuseHttp(socket: Duplex, status: string, text = ""): void {
    letGo(socket);
    socket.once("finish", () => socket.destroy());
    const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: ${text.length}`;
    socket.end(`${head}\r\n\r\n${text}`);
  }

  return {
    handle(request, socket, head) {
      socket.on("error", () => {});
      if (!isWebSocket(request)) {
        return refuseHttp(socket, "400 Bad Request", "send HTTP/1.1 without the header Upgrade");
      }
      const url = parseUrl(request);
      if (!url) return refuseHttp(socket, "400 Bad Request");
      if (!PATHS.has(url.pathname)) return refuseHttp(socket, "404 Not Found");
      const offered = subprotocols(request);
      if (offered && !offered.includes(SUBPROTOCOL)) return refuseHttp(socket, "400 Bad Request");
      server.handleUpgrade(request, socket, head, (ws) => {
        const refusal =
          refusalOf(clients, serving, origins, request) ??
          accept(clients, ws, socket, offered === undefined ? url.searchParams : undefined);
        if (!refusal) return;
        if (!serving.closeName) {
          const { origin } = request.headers;
          const fields = { close: refusal.name, address: proxyAddr(request, trust), origin };
          clients.warnings.warn(refusal.name, fields, "client refused");
        }
        clients.stats.closed(refusal.name);
        ws.on("error", () => {});
        letGo(socket);
        ws.close(CLOSE[refusal.name], closeReason(refusal.reason));
      });
    },
    close() {
      server.close();
      for (const socket of refused) socket.destroy();
    },
  };
}

/** Makes the connection; returns why it cannot. */
function accept(
  clients: Clients,
  ws: RelaySocket,
  socket: Duplex,
  plain: URLSearchParams | undefined,
): { name: CloseName; reason: string } | undefined {
  if (!plain) {
    new RtmConnection(clients, ws, socket);
    return undefined;
  }
  const parsed = parsePlainRequest(plain, {
    firehose: clients.config.compat.firehose,
    maxChannels: clients.config.limits.channels,
  });
  if ("close" in parsed) return { name: parsed.close, reason: parsed.reason };
  new PlainConnection(clients, ws, socket, parsed);
  return undefined;
}

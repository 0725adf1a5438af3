/**
 * What pages use where WebSockets do not get through: `GET /sse`, `POST /stream` and `POST /poll`
 * (docs/protocol.md). What was decided about a WebSocket's client is decided about these in the same way.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Admission, seen, type Unwanted } from "../clients/admission.ts";
import type { Clients } from "../clients/clients.ts";
import { PollPeer } from "../clients/poll-peer.ts";
import { RtmConnection } from "../clients/rtm-connection.ts";
import { parseSseRequest, SseConnection } from "../clients/sse-connection.ts";
import { StreamPeer } from "../clients/stream-peer.ts";
import type { Code } from "../contract/protocol.ts";
import { discard, Refusal, readText } from "./request-body.ts";
import { endAfterBody } from "./request-bounds.ts";

/** When an EventSource comes back whose address was refused too often, ms. */
const REFUSED_RETRY_MS = 10_000;

/** When a client may ask again whose node does not serve, s. */
const UNAVAILABLE_RETRY_S = 1;

const SHUT_OUT = "too many clients of this address were refused lately";

const STATUS: Partial<Record<Code, number>> = {
  message_too_large: 413,
  unsupported_media_type: 415,
  too_many_refusals: 429,
  internal_error: 500,
  unavailable: 503,
};

/** What a page of another origin needs to read the answer, also a refusal. */
function cors({ headers }: IncomingMessage): Record<string, string> {
  const { origin } = headers;
  return origin === undefined ? {} : { "access-control-allow-origin": origin, vary: "Origin" };
}

/** The streams and polls of clients: each request becomes a connection, or is refused. */
export class Streams {
  readonly #clients: Clients;
  readonly #admission: Admission;
  readonly #owned = new WeakSet<Socket>();

  constructor(clients: Clients, admission: Admission) {
    this.#clients = clients;
    this.#admission = admission;
  }

  /** Takes the request if it is one of these. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const [path] = (request.url as string).split("?", 1);
    const { method, socket } = request;
    if (path === "/sse" && method === "GET") {
      if (this.#own(request, response)) this.#sse(request, response);
    } else if ((path === "/stream" || path === "/poll") && method === "POST") {
      const kind = path === "/poll" ? "poll" : "stream";
      if (this.#own(request, response)) void this.#answerPost(kind, request, response);
    } else return false;
    response.on("close", () => this.#owned.delete(socket));
    return true;
  }

  /** Whether the socket belongs to one of them: nothing else may come there. */
  owns(socket: Socket): boolean {
    return this.#owned.has(socket);
  }

  /** False where another answer is under way: whoever waits for this one would wait for that. */
  #own({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (response.socket === null) {
      socket.destroy();
      return false;
    }
    this.#owned.add(socket);
    return true;
  }

  #sse(request: IncomingMessage, response: ServerResponse): void {
    const clients = this.#clients;
    endAfterBody(request, response);
    // An EventSource never comes back after a status other than 200, but this one is for the load
    // balancer: with a 200 it would send every client here (docs/cluster.md, "In front").
    const elsewhere = this.#passedOn(response);
    if (elsewhere) {
      void this.#refuse(request, response, elsewhere);
      return;
    }
    const address = clients.addressOf(request);
    const unwanted = this.#admission.refusalOf(request);
    const shutOut = this.#admission.shutsOut(address, unwanted !== undefined);
    const retryMs = shutOut ? REFUSED_RETRY_MS : undefined;
    const peer = new StreamPeer("sse", { address, response, headers: cors(request), retryMs });
    if (shutOut) {
      clients.stats.requestRefused("address");
      peer.refuse("rate_limited", SHUT_OUT);
      return;
    }
    if (unwanted) {
      this.#close(peer, unwanted, request);
      return;
    }
    const { searchParams } = new URL(request.url as string, "http://relay");
    const parsed = parseSseRequest(searchParams, request.headers, clients.config.limits.channels);
    if ("close" in parsed) {
      this.#close(peer, { name: parsed.close, reason: parsed.reason }, request);
    } else new SseConnection(clients, peer, parsed);
  }

  async #answerPost(
    kind: "stream" | "poll",
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    try {
      await this.#post(kind, request, response);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        this.#clients.log.error({ err: error }, `POST /${kind} failed`);
        response.destroy();
      } else if (!response.headersSent) await this.#refuse(request, response, error);
    }
  }

  /** @throws {Refusal} */
  async #post(
    kind: "stream" | "poll",
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const clients = this.#clients;
    const elsewhere = this.#passedOn(response);
    if (elsewhere) throw elsewhere;
    const address = clients.addressOf(request);
    const unwanted = this.#admission.refusalOf(request);
    if (this.#admission.shutsOut(address, unwanted !== undefined)) {
      response.setHeader("retry-after", String(REFUSED_RETRY_MS / 1000));
      throw new Refusal("too_many_refusals", SHUT_OUT);
    }
    const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
    if (type !== "text/plain" && type !== "application/json") {
      throw new Refusal("unsupported_media_type", "the body must be text/plain: a connect frame");
    }
    const text = await readText(request, clients.config.limits.frameBytes, "message_too_large");
    if (response.destroyed) return;
    const options = { address, response, headers: cors(request) };
    const peer = kind === "poll" ? new PollPeer(options) : new StreamPeer(kind, options);
    // Asked anew: the body took its time.
    const refusal = unwanted ?? this.#admission.refusalOf(request);
    if (refusal) this.#close(peer, refusal, request);
    else new RtmConnection(clients, peer).received(Buffer.from(text), false);
  }

  /** Before anything of the client's is read. Undefined: this node answers. */
  #passedOn(response: ServerResponse): Refusal | undefined {
    const { passOn } = this.#admission;
    if (passOn === undefined) return undefined;
    response.setHeader("retry-after", String(UNAVAILABLE_RETRY_S));
    return new Refusal("unavailable", passOn);
  }

  /** Closes a client that has no connection. */
  #close(peer: StreamPeer | PollPeer, { name, reason }: Unwanted, request: IncomingMessage): void {
    this.#clients.closing(name, peer.address, { origin: seen(request).origin });
    peer.refuse(name, reason);
  }

  /** A request that is refused as a whole. */
  async #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    { code, message, counts }: Refusal,
  ): Promise<void> {
    if (!counts) this.#clients.stats.requestRefused(code);
    const exhausted = counts && this.#clients.requestRefused(code, request);
    if (!request.complete) {
      response.setHeader("connection", "close");
      await discard(request);
    }
    const text = JSON.stringify({ ok: false, code, message });
    response.writeHead(exhausted ? 429 : (STATUS[code] ?? 400), {
      ...cors(request),
      "content-type": "application/json; charset=utf-8",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  }
}

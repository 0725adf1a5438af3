/** The publishing sockets of servers: who may open one, whether they are still there, and their end. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { WebSocketServer } from "ws";
import type { Clients } from "../../clients/clients.ts";
import { Farewells } from "../../clients/farewells.ts";
import { answerUpgrade } from "../../clients/refused-handshake.ts";
import { isWebSocket, type Upgrades } from "../../clients/upgrade.ts";
import type { CloseName } from "../../contract/protocol.ts";
import { PUBLISH_SUBPROTOCOL } from "../../contract/publish-protocol.ts";
import type { Serving } from "../../node/serving.ts";
import { ANYBODY, authorize, failedAnswer, needTrust, wantsOwnIds } from "../api.ts";
import type { Intake } from "../intake.ts";
import { Refusal } from "../request-body.ts";
import { PublishConnection } from "./publish-connection.ts";

const PATH = "/api/publish";
/** Of a frame beside its messages, however it is laid out. */
const ENVELOPE_BYTES = 1024;
/** A frame that takes longer to arrive is none of an honest publisher's, ms. */
const STALLED_MS = 60_000;
/** How long `ws` waits for the other side's close frame, ms. */
const CLOSE_TIMEOUT_MS = 5000;
const POLL_MS = 10;

export interface PublishSocketsOptions {
  readonly clients: Clients;
  readonly intake: Intake;
  readonly serving: Serving;
  readonly upgrades: Upgrades;
}

export class PublishSockets {
  readonly #options: PublishSocketsOptions;
  readonly #server: WebSocketServer;
  readonly #farewells: Farewells;
  readonly #connections = new Set<PublishConnection>();
  /** Told to go, and not gone. */
  readonly #leaving = new Set<PublishConnection>();
  readonly #beats: NodeJS.Timeout;
  #beatAt = performance.now();
  /** Before this nobody is closed for silence. */
  #patientUntil = 0;

  constructor(options: PublishSocketsOptions) {
    this.#options = options;
    const { clients, serving, upgrades } = options;
    const { limits, heartbeat } = clients.config;
    const largest = limits.batchBytes + ENVELOPE_BYTES;
    const server = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: largest,
      // Answered by the connection, which counts the bytes.
      autoPong: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: () => PUBLISH_SUBPROTOCOL,
    };
    this.#server = new WebSocketServer(server);
    this.#server.on("wsClientError", (error: Error, socket: Duplex, request: IncomingMessage) =>
      upgrades.refuse(
        request,
        socket,
        "handshake",
        `${error.message}; this is a WebSocket endpoint.`,
      ),
    );
    // What a publisher may have under way when it is told to go.
    this.#farewells = new Farewells(2 * largest);
    serving.onDown = (closeName) => this.#closeAll(closeName);
    this.#beats = setInterval(this.#beat, heartbeat.interval).unref();
  }

  /** Whether an upgrade is for a publishing socket. */
  wants(request: IncomingMessage): boolean {
    return request.url?.split("?", 1)[0] === PATH && isWebSocket(request);
  }

  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { clients, intake, upgrades } = this.#options;
    socket.on("error", () => {});
    const offered = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    if (!offered.some((name) => name.trim() === PUBLISH_SUBPROTOCOL)) {
      const text = `The subprotocol must be ${PUBLISH_SUBPROTOCOL}.`;
      upgrades.refuse(request, socket, "subprotocol", text);
      return;
    }
    try {
      this.#admit(request);
    } catch (error) {
      const { status, code, message, retryAfter } = failedAnswer(error, request, clients);
      this.#farewells.refused(socket);
      answerUpgrade(socket, {
        status,
        text: JSON.stringify({ ok: false, code, message }),
        type: "application/json; charset=utf-8",
        headers: retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`],
      });
      return;
    }
    const address = clients.addressOf(request);
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const connection = new PublishConnection({
        ws,
        socket: socket as Socket,
        clients,
        intake,
        presented: request.headers["x-api-key"],
        ownIds: wantsOwnIds(request),
        address,
        onLeave: (left) => this.#left(left),
        onGone: (gone) => this.#gone(gone),
      });
      this.#connections.add(connection);
      clients.stats.publishers = this.#connections.size;
    });
  }

  /** @throws {Refusal} why the request becomes no socket, as for a POST */
  #admit(request: IncomingMessage): void {
    const { clients, serving } = this.#options;
    const key = authorize(request, clients);
    // No page can name a key, but any page that somebody looks at can open a WebSocket.
    if (key === ANYBODY && request.headers.origin !== undefined) {
      throw new Refusal("unauthorized", "pages may not publish: the request has an Origin");
    }
    if (wantsOwnIds(request)) needTrust(key);
    const { problem } = serving;
    if (problem !== undefined) throw new Refusal("unavailable", problem);
    const { publishers } = clients.config.limits;
    if (this.#connections.size >= publishers) {
      throw new Refusal("too_many_connections", `limits.publishers (${publishers}) are open`);
    }
  }

  #left(connection: PublishConnection): void {
    this.#connections.delete(connection);
    this.#leaving.add(connection);
    this.#options.clients.stats.publishers = this.#connections.size;
    this.#farewells.refused(connection.socket);
  }

  #gone(connection: PublishConnection): void {
    this.#connections.delete(connection);
    this.#leaving.delete(connection);
    this.#options.clients.stats.publishers = this.#connections.size;
  }

  /** They come back, or go to the node that serves, when all that has arrived is answered. */
  #closeAll(closeName: CloseName): void {
    for (const connection of [...this.#connections]) {
      connection.close(closeName, "this node does not take messages now");
    }
  }

  readonly #beat = (): void => {
    const { interval } = this.#options.clients.config.heartbeat;
    const now = performance.now();
    // After a pause of this process the silence was ours.
    if (now - this.#beatAt > 1.5 * interval) this.#patientUntil = now + 2 * interval;
    this.#beatAt = now;
    const patient = now < this.#patientUntil;
    const silentSince = patient ? 0 : now - 2 * interval;
    const stalledSince = patient ? 0 : now - Math.max(2 * interval, STALLED_MS);
    for (const connection of [...this.#connections]) connection.beat(silentSince, stalledSince);
  };

  /** Waits until all have gone, at most `grace` ms. */
  async gone(grace: number): Promise<void> {
    const deadline = performance.now() + grace;
    while (this.#connections.size + this.#leaving.size > 0 && performance.now() < deadline) {
      await wait(POLL_MS);
    }
  }

  /** Ends all at once. */
  stop(): void {
    clearInterval(this.#beats);
    for (const connection of [...this.#connections, ...this.#leaving]) connection.terminate();
    this.#farewells.close();
    this.#server.close();
  }
}

/** What every WebSocket connection has, whatever it speaks. */
import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import { messageOf } from "../../common/errors.ts";
import type { Format } from "../channels/bundle.ts";
import { Outlet, type Subscription } from "../channels/outlet.ts";
import { CLOSE, type CloseName } from "../contract/protocol.ts";
import type { Clients } from "./clients.ts";
import { RateLimit } from "./rate-limit.ts";
import { Rights } from "./rights.ts";

/** Bytes of a pong frame beside its data. */
const PONG_HEADER_BYTES = 2;

/** A WebSocket that knows its connection, so that listeners need no closures. */
export class RelaySocket extends WebSocket {
  connection: ClientConnection | undefined;
}

function of(ws: WebSocket): ClientConnection | undefined {
  return (ws as RelaySocket).connection;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  of(this)?.received(data as Buffer, isBinary);
}

function onPing(this: WebSocket, data: Buffer): void {
  of(this)?.pinged(data);
}

function onPong(this: WebSocket): void {
  of(this)?.heard(1);
}

function onClose(this: WebSocket): void {
  of(this)?.ended();
}

function onError(this: WebSocket, error: Error): void {
  of(this)?.clients.log.debug({ reason: messageOf(error) }, "connection error");
}

export abstract class ClientConnection {
  readonly clients: Clients;
  readonly ws: RelaySocket;
  readonly outlet: Outlet;
  readonly rights: Rights;
  readonly subscriptions = new Map<string, Subscription>();
  /** Which share of the heartbeat it belongs to. */
  share = 0;
  #heardAt: number;
  readonly #rate: RateLimit;
  #removed = false;

  constructor(clients: Clients, ws: RelaySocket, socket: Duplex, format: Format) {
    const { insecure, publicChannels, limits } = clients.config;
    this.clients = clients;
    this.ws = ws;
    this.rights = new Rights(insecure ? ["*"] : publicChannels, limits.channels);
    this.outlet = new Outlet(clients.hub, clients.makeWire(ws, socket), format);
    this.#heardAt = performance.now();
    this.#rate = new RateLimit(this.#burst, this.#heardAt);
    ws.connection = this;
    ws.on("message", onMessage);
    ws.on("ping", onPing);
    ws.on("pong", onPong);
    ws.on("close", onClose);
    ws.on("error", onError);
    clients.add(this);
  }

  protected abstract frame(data: Buffer, isBinary: boolean): void;
  protected abstract ping(): void;
  /** The rights to `channel` have ended. */
  protected abstract lost(channel: string): void;

  get #burst(): number {
    const { commandsPerSecond, channels } = this.clients.config.limits;
    return 2 * commandsPerSecond + channels;
  }

  /** Something arrived that costs `cost` commands. False when that was too much. */
  heard(cost: number): boolean {
    const now = performance.now();
    this.#heardAt = now;
    if (cost === 0) return true;
    const perSecond = this.clients.config.limits.commandsPerSecond;
    if (this.#rate.take(cost, now, { perSecond, burst: this.#burst })) return true;
    this.close("rate_limited", "too many commands");
    return false;
  }

  received(data: Buffer, isBinary: boolean): void {
    if (this.outlet.dead || !this.heard(1)) return;
    this.clients.stats.framesReceived++;
    try {
      this.frame(data, isBinary);
    } catch (error) {
      this.clients.log.error({ err: error }, "frame handling failed");
      this.terminate();
    }
  }

  pinged(data: Buffer): void {
    if (this.outlet.dead || !this.heard(1)) return;
    if (this.outlet.makeRoom(data.length + PONG_HEADER_BYTES)) this.outlet.wire.pong(data);
  }

  /** @param patient nobody is closed for silence now */
  beat(now: number, patient: boolean): void {
    const silence = now - this.#heardAt;
    if (!patient && silence > 2 * this.clients.config.heartbeat.interval) {
      this.close("heartbeat_timeout", "nothing heard");
    } else if (this.outlet.makeRoom(PONG_HEADER_BYTES)) {
      this.ping();
    }
  }

  /** Sets the deadline for the next token that ends. */
  protected watchTokens(): void {
    const next = this.rights.nextEnd;
    if (next === undefined) this.clients.expiries.delete(this);
    else this.clients.expiries.set(this, Math.max(next - Date.now(), 1));
  }

  tokenEnds(): void {
    if (this.outlet.dead) return;
    this.rights.expire(Date.now());
    if (this.rights.endsAt === undefined) {
      this.close("token_expired", "the last token has ended");
      return;
    }
    for (const [channel, subscription] of this.subscriptions) {
      if (this.rights.allows(channel)) continue;
      this.drop(subscription);
      this.lost(channel);
    }
    if (!this.outlet.dead) this.watchTokens();
  }

  /** Ends a subscription. */
  protected drop(subscription: Subscription): void {
    this.subscriptions.delete(subscription.channel.name);
    this.clients.hub.unsubscribe(subscription);
  }

  /** Sends what is pending, then the close frame. */
  close(name: CloseName, reason: string): void {
    if (this.outlet.dead) return;
    this.clients.stats.closed(name);
    this.outlet.close(CLOSE[name], reason);
    this.#remove();
  }

  /** Destroys the socket at once. */
  terminate(): void {
    this.ws.terminate();
    this.#remove();
  }

  /** The WebSocket has closed. */
  ended(): void {
    this.#remove();
  }

  #remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.clients.hub.removeOutlet(this.outlet);
    for (const subscription of this.subscriptions.values()) {
      this.clients.hub.unsubscribe(subscription);
    }
    this.subscriptions.clear();
    this.clients.remove(this);
  }
}

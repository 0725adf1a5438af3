/** What all connections of a relay share. */
import { type Logger, RateLimitedLog } from "../../common/logger.ts";
import type { Keys } from "../access/keys.ts";
import { type Grant, verifyToken } from "../access/token.ts";
import type { Hub } from "../channels/hub.ts";
import type { Stats } from "../channels/stats.ts";
import type { RelayConfig } from "../config.ts";
import type { CloseName } from "../contract/protocol.ts";
import type { WireFactory } from "../wire/wire.ts";
import type { ClientConnection } from "./client-connection.ts";
import { Deadlines } from "./deadlines.ts";

/** The heartbeat looks at this many shares of the connections in turn, so that pings are spread. */
const SHARES = 25;

export class Clients {
  readonly config: RelayConfig;
  readonly hub: Hub;
  readonly stats: Stats;
  readonly log: Logger;
  /** For what clients can cause again and again. */
  readonly warnings: RateLimitedLog;
  readonly makeWire: WireFactory;
  keys: Keys;
  readonly connections = new Set<ClientConnection>();
  /** Connections that have not sent their connect frame. */
  readonly connectDeadlines = new Deadlines<ClientConnection>((connection) =>
    connection.close("connect_timeout", "no connect frame in time"),
  );
  /** Connections whose next token ends. */
  readonly expiries = new Deadlines<ClientConnection>((connection) => connection.tokenEnds());
  readonly #shares: Set<ClientConnection>[] = Array.from({ length: SHARES }, () => new Set());
  readonly #heartbeat: NodeJS.Timeout;
  #nextShare = 0;
  #nextBeat = 0;
  #lastBeatAt = performance.now();
  #patientUntil = 0;

  constructor(options: {
    config: RelayConfig;
    hub: Hub;
    stats: Stats;
    log: Logger;
    keys: Keys;
    makeWire: WireFactory;
  }) {
    this.config = options.config;
    this.hub = options.hub;
    this.stats = options.stats;
    this.log = options.log;
    this.warnings = new RateLimitedLog(options.log);
    this.hub.onKill = (reason) =>
      this.warnings.warn(reason, { reason }, "a slow client was disconnected");
    this.keys = options.keys;
    this.makeWire = options.makeWire;
    const interval = Math.max(1, Math.floor(this.config.heartbeat.interval / SHARES));
    this.#heartbeat = setInterval(this.#beat, interval).unref();
  }

  add(connection: ClientConnection): void {
    this.connections.add(connection);
    (this.#shares[this.#nextShare] as Set<ClientConnection>).add(connection);
    connection.share = this.#nextShare;
    this.#nextShare = (this.#nextShare + 1) % SHARES;
    this.stats.connectionsOpened++;
  }

  remove(connection: ClientConnection): void {
    this.connections.delete(connection);
    this.#shares[connection.share]?.delete(connection);
    this.connectDeadlines.delete(connection);
    this.expiries.delete(connection);
  }

  /** @throws {TokenError} */
  async verify(token: string): Promise<Grant> {
    try {
      return await verifyToken(token, this.keys.secrets, this.config.tokens.clockTolerance);
    } catch (error) {
      this.stats.authFailed((error as { reason?: string }).reason ?? "token_invalid");
      throw error;
    }
  }

  closeAll(name: CloseName, reason: string): void {
    for (const connection of [...this.connections]) connection.close(name, reason);
  }

  readonly #beat = (): void => {
    const now = performance.now();
    // After a pause of this process (a suspended machine, a long garbage collection) the silence
    // was ours: the clients get the time to answer.
    const interval = this.config.heartbeat.interval;
    if (now - this.#lastBeatAt > interval / 2) this.#patientUntil = now + 2 * interval;
    this.#lastBeatAt = now;
    const patient = now < this.#patientUntil;
    for (const connection of this.#shares[this.#nextBeat] as Set<ClientConnection>) {
      connection.beat(now, patient);
    }
    this.#nextBeat = (this.#nextBeat + 1) % SHARES;
  };

  stop(): void {
    clearInterval(this.#heartbeat);
    this.connectDeadlines.clear();
    this.expiries.clear();
  }
}

/** What all connections of a relay share. */
import type { IncomingMessage } from "node:http";
import proxyAddr from "proxy-addr";
import { type Logger, RateLimitedLog } from "../../common/logger.ts";
import type { Grant } from "../access/claims.ts";
import type { Keys } from "../access/keys.ts";
import { PatternSet } from "../access/pattern-map.ts";
import { Revocations } from "../access/revocations.ts";
import { verifyToken } from "../access/token.ts";
import type { Hub } from "../channels/hub.ts";
import type { View } from "../channels/view.ts";
import type { RelayConfig } from "../config/config.ts";
import type { CloseName } from "../contract/protocol.ts";
import type { Stats } from "../node/stats.ts";
import type { Presence } from "../presence/presence.ts";
import type { WireFactory } from "../wire/wire.ts";
import { AddressLimits } from "./address-limits.ts";
import { ClientEvents } from "./client-events.ts";
import { Deadlines } from "./deadlines.ts";
import { placeBehind, positionId } from "./event-id.ts";
import { Farewells } from "./farewells.ts";
import { PEER_KINDS, type Peer, type PeerKind } from "./peer.ts";
import type { Rate } from "./rate-limit.ts";
import {
  addressReplayBytes,
  type ReplayLimits,
  type ReplayRefusal,
  replayLimits,
} from "./replay-budget.ts";
import type { Rights, RightsLimits } from "./rights.ts";

/** The heartbeat looks at this many shares of the connections in turn, so that pings are spread. */
const SHARES = 25;
/** Frames with commands, and the answer to a close frame. */
const FAREWELL_BYTES = 4096;
/** Closes that a client brings about by what it is or does, whatever the relay's state. */
const CLIENT_FAULTS: ReadonlySet<CloseName> = new Set([
  "rate_limited",
  "connect_timeout",
  "token_invalid",
  "token_required",
  "token_limit",
  "protocol_error",
  "binary_frame",
  "origin_not_allowed",
  "forbidden",
  "bad_request",
]);
/** Part of its age by which a stream may end sooner. */
const STREAM_AGE_SPREAD = 0.1;
/** How often all rights are compared with the wall clock, ms. */
const CLOCK_WATCH_MS = 1000;

/** A connection as everything sees it that has to do with all of them. */
export interface ConnectedClient {
  readonly peer: Peer;
  readonly rights: Rights;
  /** Which share of the heartbeat it belongs to. */
  share: number;
  /** Sends what is pending, then the close frame. */
  close(name: CloseName, reason: string): void;
  /** Ends it at once, without a word. */
  terminate(): void;
  /** Pings, or closes it for its silence. @param patient nobody is closed for silence now */
  beat(now: number, patient: boolean): void;
  /** The time of `rights.nextEnd` should have come. */
  rightsDue(): void;
  /** Ends the rights whose time has come by the wall clock. */
  endRights(): void;
  /** Something was revoked: ends the rights that are gone. */
  endRevoked(): void;
}

/**
 * All clients of this node and what they share: limits, keys, revocations, the heartbeat. A
 * connection adds itself (`add`), says whose it is (`identified`), and is removed when its peer is
 * gone.
 */
export class Clients {
  readonly config: RelayConfig;
  readonly hub: Hub;
  readonly stats: Stats;
  readonly log: Logger;
  /** For what clients can cause again and again. */
  readonly warnings: RateLimitedLog;
  readonly makeWire: WireFactory;
  readonly caughtUp: (ms: number) => Promise<boolean>;
  /** Undefined where no rule lets anybody be seen. */
  readonly presence: Presence | undefined;
  keys: Keys;
  /** What may be read without any token. */
  readonly openChannels: PatternSet;
  /** What a client may send. */
  readonly commandRate: Rate;
  readonly rightsLimits: RightsLimits;
  readonly replayLimits: ReplayLimits;
  /** Sockets of clients that were told to go. */
  readonly farewells: Farewells;
  readonly addressLimits: AddressLimits;
  /** What clients of an event stream with one channel get. */
  readonly events: View = {
    format: "sse",
    events: undefined,
    idOf: (seq) => positionId(this.hub.epoch, [placeBehind(seq)]),
  };
  /** Whether an address is a trusted proxy's. */
  readonly trust: (address: string, hop: number) => boolean;
  readonly revocations: Revocations;
  readonly clientEvents: ClientEvents;
  readonly connections = new Set<ConnectedClient>();
  /** Connections by the subject of their tokens. */
  readonly bySubject = new Map<string, Set<ConnectedClient>>();
  /** Connections that have not sent their connect frame. */
  readonly connectDeadlines = new Deadlines<ConnectedClient>((connection) =>
    connection.close("connect_timeout", "no connect frame in time"),
  );
  /** Connections whose next token ends. */
  readonly expiries = new Deadlines<ConnectedClient>((connection) => connection.rightsDue());
  /** Streams, whose clients never say whether they are still there. */
  readonly streamEnds = new Deadlines<ConnectedClient>((connection) =>
    connection.close("stream_ended", "open another one"),
  );
  readonly #shares: Set<ConnectedClient>[] = Array.from({ length: SHARES }, () => new Set());
  readonly #heartbeat: NodeJS.Timeout;
  readonly #clockWatch: NodeJS.Timeout;
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
    /** As `Log.caughtUp`. */
    caughtUp: (ms: number) => Promise<boolean>;
    warnings?: RateLimitedLog;
    presence?: Presence | undefined;
  }) {
    this.config = options.config;
    this.hub = options.hub;
    this.stats = options.stats;
    this.log = options.log;
    this.warnings = options.warnings ?? new RateLimitedLog(options.log);
    this.hub.onDrop = (reason) =>
      this.warnings.warn(reason, { reason }, "a slow client was disconnected");
    this.keys = options.keys;
    const { insecure, publicChannels, limits } = this.config;
    this.trust = proxyAddr.compile([...this.config.trustedProxies]);
    this.openChannels = new PatternSet(insecure ? ["*"] : publicChannels);
    this.commandRate = {
      perSecond: limits.commandsPerSecond,
      burst: 2 * limits.commandsPerSecond + limits.channels,
    };
    // What a client may have sent before it reads that it is refused: its connect frame, and a bit.
    this.farewells = new Farewells(limits.frameBytes + FAREWELL_BYTES);
    this.addressLimits = new AddressLimits({
      refusals: limits.refusalsPerMinute,
      replayBytes: addressReplayBytes(this.config),
    });
    this.replayLimits = replayLimits(limits.channels, this.config.history.bytes);
    this.clientEvents = new ClientEvents(options.hub, this.config.clientEvents);
    this.revocations = new Revocations(this.config.tokens.clockTolerance);
    this.rightsLimits = { tokens: limits.channels, patterns: limits.tokenChannels };
    this.makeWire = options.makeWire;
    this.caughtUp = options.caughtUp;
    this.presence = options.presence;
    const interval = Math.max(1, Math.floor(this.config.heartbeat.interval / SHARES));
    this.#heartbeat = setInterval(this.#beat, interval).unref();
    this.#clockWatch = setInterval(this.#watchClock, CLOCK_WATCH_MS).unref();
  }

  /** A connection is open: from now on it takes part in the heartbeat. */
  add(connection: ConnectedClient): void {
    this.connections.add(connection);
    (this.#shares[this.#nextShare] as Set<ConnectedClient>).add(connection);
    connection.share = this.#nextShare;
    this.#nextShare = (this.#nextShare + 1) % SHARES;
    const { kind } = connection.peer;
    if (kind === "poll") this.stats.polls++;
    else this.stats.connectionsOpened++;
    if (kind === "stream" || kind === "sse") this.streamEnds.set(connection, this.#streamAge());
  }

  /** Streams that were opened together, after a restart, do not end together. */
  #streamAge(): number {
    return this.config.limits.streamAge * (1 - STREAM_AGE_SPREAD * Math.random());
  }

  /** Open connections by what carries them. */
  countPeers(): Map<PeerKind, number> {
    const counts = new Map<PeerKind, number>(PEER_KINDS.map((kind) => [kind, 0]));
    for (const { peer } of this.connections) {
      counts.set(peer.kind, (counts.get(peer.kind) as number) + 1);
    }
    return counts;
  }

  /**
   * Whether a connection may become one of the person's. A token without `self` may stand for many
   * people, so their connections are not counted.
   */
  hasRoomFor({ subject, self }: Grant): boolean {
    const open = this.bySubject.get(subject)?.size ?? 0;
    return self === undefined || open < this.config.limits.connectionsPerSubject;
  }

  /** The connection has its first token. */
  identified(connection: ConnectedClient, subject: string): void {
    const others = this.bySubject.get(subject);
    if (others) others.add(connection);
    else this.bySubject.set(subject, new Set([connection]));
  }

  /** A connection is gone; called once for each that was added. */
  remove(connection: ConnectedClient): void {
    this.connections.delete(connection);
    this.#unidentify(connection);
    this.#shares[connection.share]?.delete(connection);
    this.connectDeadlines.delete(connection);
    this.expiries.delete(connection);
    this.streamEnds.delete(connection);
  }

  #unidentify(connection: ConnectedClient): void {
    const { subject } = connection.rights;
    const others = subject === undefined ? undefined : this.bySubject.get(subject);
    others?.delete(connection);
    if (others?.size === 0) this.bySubject.delete(subject as string);
  }

  /** @throws {TokenError} */
  verify(token: string): Grant {
    const { tokens, limits } = this.config;
    const rules = {
      secrets: this.keys.secrets,
      clockTolerance: tokens.clockTolerance,
      maxChannels: limits.tokenChannels,
      maxLifetime: tokens.maxLifetime,
    };
    return verifyToken(token, rules);
  }

  /** A client of `address` is closed: says so, and counts it where it is the client's doing. */
  closing(name: CloseName, address: string | undefined, fields: object = {}): void {
    this.stats.closed(name);
    if (!CLIENT_FAULTS.has(name)) return;
    this.addressLimits.refused(address, performance.now());
    this.warnings.warn(name, { close: name, address, ...fields }, "client refused");
  }

  /** Whose request it is, behind trusted proxies; undefined when the socket is gone already. */
  addressOf(request: IncomingMessage): string | undefined {
    // The same, where there is nothing to believe or not.
    if (request.headers["x-forwarded-for"] === undefined) return request.socket.remoteAddress;
    return proxyAddr(request, this.trust);
  }

  /**
   * An HTTP request is refused: says so, and counts it against its address. True when the address was
   * refused so often before that it gets no more than that answer.
   */
  requestRefused(reason: string, request: IncomingMessage, text = "request refused"): boolean {
    const address = this.addressOf(request);
    const now = performance.now();
    const exhausted = this.addressLimits.exhausted(address, now);
    this.addressLimits.refused(address, now);
    this.stats.requestRefused(exhausted ? "address" : reason);
    this.warnings.warn(`request ${reason}`, { reason, address }, text);
    return exhausted;
  }

  /** A client is not given `bytes` of history that it could have been: says so, and counts it. */
  replayRefused(reason: ReplayRefusal, address: string | undefined, bytes: number): void {
    this.stats.replayRefused(reason);
    const fields = { reason, address, bytes };
    this.warnings.warn(`replay ${reason}`, fields, "a replay was refused: recovered is false");
  }

  /** Closes all connections at once; `closeSpread` takes its time. */
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
    for (const connection of this.#shares[this.#nextBeat] as Set<ConnectedClient>) {
      connection.beat(now, patient);
    }
    this.#nextBeat = (this.#nextBeat + 1) % SHARES;
  };

  /** No timer knows when the wall clock is set. */
  readonly #watchClock = (): void => {
    for (const connection of [...this.connections]) connection.endRights();
  };

  /** Stops all timers. Connections are ended before. */
  stop(): void {
    clearInterval(this.#heartbeat);
    clearInterval(this.#clockWatch);
    this.connectDeadlines.clear();
    this.expiries.clear();
    this.streamEnds.clear();
    this.farewells.close();
  }
}

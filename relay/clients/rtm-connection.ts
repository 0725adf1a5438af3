/** A connection that speaks `rtm.v1` (docs/protocol.md). */
import type { Grant } from "../access/claims.ts";
import type { Subscription } from "../channels/outlet.ts";
import { MESSAGE, SSE, viewOf } from "../channels/view.ts";
import { nameProblem } from "../contract/message.ts";
import { type ServerFrame, SUBPROTOCOL } from "../contract/protocol.ts";
import { ClientConnection, REFRESH_SPREAD_MS } from "./client-connection.ts";
import type { SeenAs } from "./client-events.ts";
import {
  isProblem,
  type ParsedFrame,
  parseClientFrame,
  type SubscribeEntry,
} from "./client-frame.ts";
import type { Clients } from "./clients.ts";
import type { Peer } from "./peer.ts";
import { Positions } from "./positions.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { RightsEndCode } from "./token-problem.ts";

/** How long a poll waits that does not say so, ms. */
const DEFAULT_WAIT_MS = 25_000;

const PING = JSON.stringify({ op: "ping" });

export class RtmConnection extends ClientConnection {
  #connected = false;
  /** How long a poll waits for news. */
  #waitMs: number | undefined;
  /** Made by the first filter. */
  #positions: Positions | undefined;

  /** Made by its first event. */
  #eventRate: RateLimit | undefined;
  /** Undefined where clients send each other nothing. */
  readonly conn: string | undefined;

  constructor(clients: Clients, peer: Peer) {
    super(clients, peer, peer.kind === "stream" ? SSE : MESSAGE);
    this.conn = clients.clientEvents.enabled ? clients.clientEvents.newConn() : undefined;
    clients.connectDeadlines.set(this, clients.config.connectDeadline);
  }

  protected override frame(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.close("binary_frame", "frames are JSON text");
      return;
    }
    const frame = parseClientFrame(data.toString());
    if (!this.#connected) {
      this.#connect(frame);
    } else if (isProblem(frame)) {
      this.outlet.control({ op: "error", code: frame.code, message: frame.message });
    } else {
      this.#command(frame);
    }
  }

  protected override ping(): void {
    if (!this.#connected) return;
    this.outlet.controlText(PING);
    this.#positions?.beat();
  }

  protected override drop(subscription: Subscription): void {
    this.#positions?.end(subscription);
    super.drop(subscription);
  }

  override caughtUp(subscription: Subscription): void {
    this.#positions?.moved(subscription);
  }

  protected override rightsEnded(channel: string, code: RightsEndCode): void {
    this.outlet.control({ op: "unsubscribed", channel, code });
  }

  /** Answers a subscription anew, unasked: what was missed is not known. */
  override restarted(subscription: Subscription, seq: number): void {
    const { epoch } = this.clients.hub;
    const { name } = subscription.channel;
    const answer = { op: "subscribed", channel: name, epoch, seq, recovered: false } as const;
    const events = this.#filter(subscription, seq);
    this.outlet.control({ ...answer, ...events, spreadMs: REFRESH_SPREAD_MS });
  }

  /** What an answer says of the filter; the client stands at `seq` with it. */
  #filter(subscription: Subscription, seq: number): { readonly events?: readonly string[] } {
    const { events } = subscription.view;
    if (!events) {
      this.#positions?.end(subscription);
      return {};
    }
    this.#positions ??= new Positions((frame) => this.outlet.control(frame));
    this.#positions.start(subscription, seq);
    return { events: [...events] };
  }

  #connect(frame: ReturnType<typeof parseClientFrame>): void {
    if (isProblem(frame) || frame.op !== "connect") {
      const why = isProblem(frame) ? frame.message : `got ${frame.op}`;
      this.close("protocol_error", `the first frame must be connect: ${why}`);
      return;
    }
    const { tokens, waitMs, subscribe } = frame;
    const [token, ...further] = tokens;
    if (!this.heard(Math.max(0, subscribe.length - 1) + further.length)) return;
    this.clients.connectDeadlines.delete(this);
    this.#waitMs = waitMs;
    const { insecure, publicChannels } = this.clients.config;
    if (token === undefined || insecure) {
      if (!insecure && publicChannels.length === 0) {
        this.clients.stats.authFailed("token_required");
        this.close("token_required", "a token is needed");
        return;
      }
      this.#begin(subscribe, null, further);
      return;
    }
    const grant = this.present(token);
    if (isProblem(grant)) {
      this.close(grant.close, grant.message);
      return;
    }
    this.#begin(subscribe, expiresIn(grant), further);
  }

  #begin(
    entries: readonly SubscribeEntry[],
    expiresInMs: number | null,
    further: readonly string[],
  ): void {
    const welcome = this.#welcome(expiresInMs);
    if (further.length === 0) {
      this.#subscribeAll(entries, welcome);
      return;
    }
    this.outlet.control(welcome);
    for (const token of further) this.outlet.control(this.#addToken(token));
    this.#subscribeAll(entries, undefined);
  }

  #welcome(expiresInMs: number | null): ServerFrame {
    this.#connected = true;
    const { limits, clientEvents } = this.clients.config;
    const { frameBytes, messageBytes, channels, commandsPerSecond } = limits;
    const sends = this.conn !== undefined && {
      conn: this.conn,
      // Who sends no more is not closed for the number of its frames either, answers to pings among them.
      events: {
        bytes: clientEvents.bytes,
        perSecond: Math.min(clientEvents.perSecond, Math.max(1, commandsPerSecond - 1)),
      },
    };
    return {
      op: "connected",
      protocol: SUBPROTOCOL,
      pingMs: this.clients.config.heartbeat.interval,
      expiresInMs,
      limits: { frameBytes, messageBytes, channels },
      ...sends,
    };
  }

  #command(frame: ParsedFrame): void {
    switch (frame.op) {
      case "connect":
        this.close("protocol_error", "connect came twice");
        return;
      case "pong":
        return;
      case "publish":
        this.#publish(frame);
        return;
      case "refresh":
        this.outlet.control(this.#addToken(frame.token));
        return;
      case "unsubscribe":
        if (this.heard(Math.max(0, frame.channels.length - 1))) {
          for (const channel of frame.channels) this.#unsubscribe(channel);
        }
        return;
      case "subscribe":
        if (!this.heard(Math.max(0, frame.subscribe.length - 1))) return;
        this.#subscribeAll(
          frame.subscribe,
          frame.token === undefined ? undefined : this.#addToken(frame.token),
        );
        return;
    }
  }

  /** Each event would be a poll. */
  get hearsEvents(): boolean {
    return this.conn !== undefined && this.peer.kind !== "poll";
  }

  #publish({ ref, ...event }: Extract<ParsedFrame, { op: "publish" }>): void {
    const { clientEvents } = this.clients;
    this.#eventRate ??= clientEvents.newRate();
    const problem = clientEvents.send(event, {
      conn: this.conn ?? "",
      rate: this.#eventRate,
      senderIn: (channel) => this.#senderIn(channel),
    });
    const echo = ref === undefined ? {} : { ref };
    if (problem) {
      if (problem.code === "publish_forbidden") this.clients.stats.authFailed(problem.code);
      this.outlet.control({ op: "error", ...problem, ...echo });
    } else if (ref !== undefined) this.outlet.control({ op: "published", ref });
  }

  /** As whom it is seen by others in the channel; undefined where it may send nothing. */
  #senderIn(channel: string): SeenAs | undefined {
    const { config, presence } = this.clients;
    if (config.insecure) return {};
    const grant = this.rights.grantOf("publish", channel, Date.now());
    if (!grant) return undefined;
    // Whose names presence hides, events do not tell.
    const rule = presence?.rules.of(channel);
    if (!rule || !presence) return { user: grant.subject };
    return {
      user: presence.rules.idOf(rule, channel, grant.subject),
      conn: presence.rules.connOf(rule, channel, this.conn ?? ""),
    };
  }

  /** Adds a token's rights; returns `refreshed` or `error`. */
  #addToken(token: string): ServerFrame {
    if (this.clients.config.insecure) {
      // Nothing depends on the token here; the client learns when it would refresh it again.
      return { op: "refreshed", expiresInMs: this.clients.config.tokens.lifetime };
    }
    const grant = this.present(token);
    return isProblem(grant)
      ? { op: "error", code: grant.code, message: grant.message }
      : { op: "refreshed", expiresInMs: expiresIn(grant) };
  }

  #subscribeAll(entries: readonly SubscribeEntry[], first: ServerFrame | undefined): void {
    const { hub } = this.clients;
    const ask = entries.some(
      (entry) => !isProblem(entry) && hub.mustCatchUp(entry.channel, entry.since),
    );
    if (!ask) {
      this.#subscribeNow(entries, first);
      return;
    }
    if (first) this.outlet.control(first);
    this.whenCaughtUp(() => this.#subscribeNow(entries, undefined));
  }

  /** Answers all entries, after `first`, in one write; the replays follow. */
  #subscribeNow(entries: readonly SubscribeEntry[], first: ServerFrame | undefined): void {
    const { outlet } = this;
    const replays: (() => void)[] = [];
    outlet.wire.cork();
    if (first) outlet.control(first);
    for (const entry of entries) {
      if (outlet.dead) break;
      const replay = this.#subscribe(entry);
      if (replay) replays.push(replay);
    }
    outlet.wire.uncork();
    if (outlet.dead) return;
    this.clients.hub.actOn(outlet, "taken");
    for (const replay of replays) replay();
    this.peer.hold?.(this.#waitMs ?? DEFAULT_WAIT_MS);
  }

  /** Answers one entry; returns what starts its replay. */
  #subscribe(entry: SubscribeEntry): (() => void) | undefined {
    if (isProblem(entry)) {
      this.outlet.control({ op: "error", ...entry });
      return undefined;
    }
    const { channel, since, events, presence } = entry;
    if (!this.rights.allows(channel, Date.now())) {
      this.clients.stats.authFailed("channel_forbidden");
      this.outlet.control({
        op: "error",
        code: "channel_forbidden",
        message: "no token grants this channel",
        channel,
      });
      return undefined;
    }
    const old = this.subscriptions.get(channel);
    const limit = this.clients.config.limits.channels;
    if (!old && this.subscriptions.size >= limit) {
      this.outlet.control({
        op: "error",
        code: "too_many_channels",
        message: `a connection may have ${limit} channels`,
        channel,
      });
      return undefined;
    }
    const { hub } = this.clients;
    const { subscription, seq, recovered, last, replay } = hub.subscribe(this.outlet, channel, {
      since,
      old,
      view: viewOf(this.outlet.view.format, events),
      mayReplay: (bytes) => this.mayReplay(channel, bytes),
    });
    this.subscriptions.set(channel, subscription);
    const problem = this.attend(subscription, presence);
    const user = this.userIn(channel);
    const answer = { op: "subscribed", channel, epoch: hub.epoch, seq, recovered } as const;
    const filter = this.#filter(
      subscription,
      subscription.state === "behind" ? subscription.cursor - 1 : seq,
    );
    const newest = last ? { last } : {};
    this.outlet.control({
      ...answer,
      ...newest,
      ...filter,
      ...(user === undefined ? {} : { user }),
    });
    if (problem) {
      this.clients.stats.authFailed(problem.code);
      this.outlet.control({ op: "error", ...problem, channel });
    }
    return replay;
  }

  #unsubscribe(channel: unknown): void {
    const problem = nameProblem(channel);
    if (problem) {
      this.outlet.control({ op: "error", code: "bad_channel", message: `channel ${problem}` });
      return;
    }
    const name = channel as string;
    const subscription = this.subscriptions.get(name);
    if (subscription) this.drop(subscription);
    this.outlet.control({ op: "unsubscribed", channel: name });
  }
}

function expiresIn(grant: Grant): number {
  return Math.max(0, grant.endsAt - Date.now());
}

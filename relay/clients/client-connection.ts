/** What every connection of a client has, whatever it speaks and whatever carries it. */
import { messageOf } from "../../common/errors.ts";
import { type Grant, TokenError } from "../access/claims.ts";
import { Outlet, type OutletOwner, type Subscription } from "../channels/outlet.ts";
import type { View } from "../channels/view.ts";
import { CLOSE, type CloseName, type PresenceWish } from "../contract/protocol.ts";
import { Attendance, type PresenceProblem } from "../presence/attendance.ts";
import type { Clients, ConnectedClient } from "./clients.ts";
import type { Peer, PeerOwner } from "./peer.ts";
import { RateLimit } from "./rate-limit.ts";
import { ReplayBudget } from "./replay-budget.ts";
import { Rights } from "./rights.ts";
import { CLOSES, type RightsEndCode, TOKEN_REFUSALS, type TokenProblem } from "./token-problem.ts";

/** The longest wait for the log before a position is judged, ms. */
const CATCH_UP_MS = 2000;
/** Over which time pages spread the refresh that a new beginning of the log asks of all of them. */
export const REFRESH_SPREAD_MS = 10_000;
/** Bytes of a pong frame beside its data. */
const PONG_HEADER_BYTES = 2;

/** Close codes from here on say that the client has no right, or is to stop: it does not come back. */
const NO_RETURN = CLOSE.token_expired;

export abstract class ClientConnection implements ConnectedClient, OutletOwner, PeerOwner {
  readonly clients: Clients;
  readonly peer: Peer;
  readonly outlet: Outlet;
  readonly rights: Rights;
  readonly subscriptions = new Map<string, Subscription>();
  share = 0;
  #heardAt: number;
  readonly #rate: RateLimit;
  #removed = false;
  /** Made when the client asks to be seen, or to see others. */
  #attendance: Attendance | undefined;
  /** Made by the first replay. */
  #replays: ReplayBudget | undefined;
  /** Frames that arrived while the log is asked; undefined while it is not. */
  #waiting: [data: Buffer, isBinary: boolean][] | undefined;

  /** @param view what it gets of messages, where no subscription says otherwise */
  constructor(clients: Clients, peer: Peer, view: View) {
    this.clients = clients;
    this.peer = peer;
    this.rights = new Rights(clients.openChannels, clients.rightsLimits);
    this.outlet = new Outlet(clients.hub, peer.wire, view, this);
    this.#heardAt = performance.now();
    this.#rate = new RateLimit(clients.commandRate, this.#heardAt);
    peer.serve(this);
    clients.add(this);
  }

  protected abstract frame(data: Buffer, isBinary: boolean): void;
  protected abstract ping(): void;
  /** The rights to `channel` have ended. */
  protected abstract rightsEnded(channel: string, code: RightsEndCode): void;
  abstract restarted(subscription: Subscription, seq: number): void;
  abstract caughtUp(subscription: Subscription): void;

  /** Something arrived that costs `cost` commands. False when that was too much. */
  heard(cost: number): boolean {
    const now = performance.now();
    this.#heardAt = now;
    if (cost === 0) return true;
    if (this.#rate.take(cost, now, this.clients.commandRate)) return true;
    this.close("rate_limited", "too many commands");
    return false;
  }

  /**
   * Goes on with `next` when this node has caught up with the log. Frames that arrive meanwhile wait.
   * Where that is not known a position cannot be judged, and the client has to ask elsewhere.
   */
  protected whenCaughtUp(next: () => void): void {
    this.#waiting = [];
    this.peer.pause();
    void this.clients.caughtUp(CATCH_UP_MS).then((known) => {
      const frames = this.#waiting ?? [];
      this.#waiting = undefined;
      if (this.outlet.dead) return;
      if (!known) {
        this.close("going_away", "this node cannot tell whether it has heard everything");
        return;
      }
      this.peer.resume();
      this.#guarded(next);
      for (const [data, isBinary] of frames) this.#take(data, isBinary);
    });
  }

  received(data: Buffer, isBinary: boolean): void {
    if (this.outlet.dead || !this.heard(1)) return;
    this.clients.stats.framesReceived++;
    this.#take(data, isBinary);
  }

  #take(data: Buffer, isBinary: boolean): void {
    if (this.#waiting) this.#waiting.push([data, isBinary]);
    else this.#guarded(() => this.frame(data, isBinary));
  }

  #guarded(handle: () => void): void {
    // A timer may be late, and the clock may have been set: no frame meets rights that have ended.
    this.endRights();
    if (this.outlet.dead) return;
    try {
      handle();
    } catch (error) {
      this.clients.log.error({ err: error }, "frame handling failed");
      this.terminate();
    }
  }

  pinged(data: Buffer): void {
    if (this.outlet.dead || !this.heard(1)) return;
    if (this.outlet.makeRoom(data.length + PONG_HEADER_BYTES)) this.outlet.wire.pong(data);
  }

  ponged(): void {
    this.heard(1);
  }

  beat(now: number, patient: boolean): void {
    const silence = now - this.#heardAt;
    if (!patient && this.peer.answers && silence > 2 * this.clients.config.heartbeat.interval) {
      this.close("heartbeat_timeout", "nothing heard");
    } else if (this.outlet.makeRoom(PONG_HEADER_BYTES)) {
      this.ping();
    }
  }

  /** Whether so much of a channel's history may be given to this client. */
  protected mayReplay(channel: string, bytes: number): boolean {
    const { clients, peer } = this;
    const now = performance.now();
    this.#replays ??= new ReplayBudget(clients.replayLimits);
    if (!this.#replays.take(channel, bytes, now)) {
      clients.replayRefused("connection", peer.address, bytes);
      return false;
    }
    if (clients.addressLimits.takeReplay(peer.address, bytes, now)) return true;
    clients.replayRefused("address", peer.address, bytes);
    return false;
  }

  /** Adds what a token grants, or says why it was refused; then nothing has changed. */
  protected present(token: string): Grant | TokenProblem {
    const { clients, rights } = this;
    const refuse = (code: TokenProblem["code"], message: string): TokenProblem => {
      clients.stats.authFailed(code);
      return { code, close: CLOSES[code], message };
    };
    try {
      const grant = clients.verify(token);
      // No revocation can come between this and the rights being added.
      const verdict = clients.revocations.judge(grant, Date.now());
      if (verdict === "revoked") return refuse("token_revoked", TOKEN_REFUSALS.token_revoked);
      const isFirst = rights.subject === undefined;
      if (isFirst && !clients.hasRoomFor(grant)) {
        return refuse("too_many_connections", TOKEN_REFUSALS.too_many_connections);
      }
      const refused = rights.add(grant, verdict === "good" ? undefined : verdict);
      if (refused) return refuse(refused, TOKEN_REFUSALS[refused]);
      if (isFirst) clients.identified(this, grant.subject);
      this.#watchRights();
      this.#renewAttendance();
      return grant;
    } catch (error) {
      if (error instanceof TokenError) return refuse(error.reason, error.message);
      throw error;
    }
  }

  #watchRights(): void {
    const { nextEnd } = this.rights;
    if (nextEnd === Number.POSITIVE_INFINITY) this.clients.expiries.delete(this);
    else this.clients.expiries.set(this, Math.max(nextEnd - Date.now(), 1));
  }

  /**
   * The place where rights end by time. Whatever is granted no more is not subscribed any more either,
   * and a connection whose last token has ended is closed.
   */
  endRights(): void {
    const now = Date.now();
    if (this.outlet.dead || now < this.rights.nextEnd) return;
    this.rights.drop(now);
    this.#endUngranted("token_expired", "the last token has ended", now);
  }

  /** Something was revoked; the other place where rights end. */
  endRevoked(): void {
    if (this.outlet.dead || !this.rights.any) return;
    const now = Date.now();
    if (!this.rights.revoke((grant) => this.clients.revocations.judge(grant, now))) return;
    this.#endUngranted("token_revoked", "the last token was revoked", now);
  }

  /** Ends what is granted no more. */
  #endUngranted(code: RightsEndCode, reason: string, now: number): void {
    if (!this.rights.any) {
      this.close(code, reason);
      return;
    }
    for (const [channel, subscription] of this.subscriptions) {
      if (this.rights.allows(channel, now)) continue;
      this.drop(subscription);
      this.rightsEnded(channel, code);
    }
    this.#renewAttendance();
    if (!this.outlet.dead) this.#watchRights();
  }

  /** Takes the place among the members that is asked for, or says why not. */
  protected attend(
    subscription: Subscription,
    wish: PresenceWish | undefined,
  ): PresenceProblem | undefined {
    const { name } = subscription.channel;
    if (!wish?.join && !wish?.watch) {
      this.#attendance?.leave(name);
      return undefined;
    }
    const { presence, config } = this.clients;
    if (!presence) {
      const message = "relay.presence.rules has no rule";
      return { code: "presence_forbidden", message };
    }
    if (wish.watch && this.peer.kind === "poll") {
      // Each poll would bring the list, and with it the next poll.
      this.#attendance?.leave(name);
      return { code: "presence_forbidden", message: "a poll may be seen, but sees nobody" };
    }
    this.#attendance ??= new Attendance(presence, this.rights, config.limits.presenceChannels);
    return this.#attendance.take(subscription, wish, Date.now());
  }

  /** Under which id the client is seen in the channel. */
  protected userIn(channel: string): string | undefined {
    return this.#attendance?.userIn(channel);
  }

  #renewAttendance(): void {
    if (!this.#attendance) return;
    for (const channel of this.#attendance.renew(Date.now())) {
      const message = "no token grants presence in this channel any more";
      this.outlet.control({ op: "error", code: "presence_forbidden", message, channel });
    }
  }

  /** The time of `rights.nextEnd` should have come; it has not when the clock was set back. */
  rightsDue(): void {
    this.endRights();
    if (!this.outlet.dead) this.#watchRights();
  }

  /** Ends a subscription. */
  protected drop(subscription: Subscription): void {
    this.#attendance?.leave(subscription.channel.name);
    this.subscriptions.delete(subscription.channel.name);
    this.clients.hub.unsubscribe(subscription);
  }

  close(name: CloseName, reason: string): void {
    if (this.outlet.dead) return;
    this.clients.closing(name, this.peer.address);
    if (CLOSE[name] >= NO_RETURN) this.#attendance?.leaveAll();
    this.clients.hub.close(this.outlet, CLOSE[name], reason);
    if (name === "rate_limited") this.peer.silence();
    else this.peer.dismiss();
    this.#remove();
  }

  failed(error: Error, breach: boolean): void {
    const { clients, peer } = this;
    clients.log.debug({ reason: messageOf(error) }, "connection error");
    if (breach) clients.addressLimits.refused(peer.address, performance.now());
  }

  terminate(): void {
    this.peer.terminate();
    this.#remove();
  }

  ended(): void {
    this.#remove();
  }

  #remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#attendance?.lost();
    this.clients.hub.remove(this.outlet);
    for (const subscription of this.subscriptions.values()) {
      this.clients.hub.unsubscribe(subscription);
    }
    this.subscriptions.clear();
    this.clients.remove(this);
  }
}

/** A connection that speaks `rtm.v1` (docs/protocol.md). */
import type { Duplex } from "node:stream";
import { messageOf } from "../../common/errors.ts";
import { type Grant, TokenError } from "../access/token.ts";
import { nameProblem } from "../contract/message.ts";
import { SUBPROTOCOL } from "../contract/protocol.ts";
import { ClientConnection, type RelaySocket } from "./client-connection.ts";
import {
  isProblem,
  type ParsedFrame,
  parseClientFrame,
  type SubscribeEntry,
} from "./client-frame.ts";
import type { Clients } from "./clients.ts";

const PING = JSON.stringify({ op: "ping" });

const REFUSALS = {
  token_subject_mismatch: "the token is of another subject than the connection's first one",
  token_limit: "as many tokens as limits.channels allows are in force",
} as const;

export class RtmConnection extends ClientConnection {
  #connected = false;
  /** Frames that arrived while a token is being verified; undefined while none is. */
  #queue: string[] | undefined;

  constructor(clients: Clients, ws: RelaySocket, socket: Duplex) {
    super(clients, ws, socket, "message");
    clients.connectDeadlines.set(this, clients.config.connectDeadline);
  }

  protected override frame(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.close("binary_frame", "frames are JSON text");
      return;
    }
    const text = data.toString();
    if (this.#queue) this.#queue.push(text);
    else this.#handle(text);
  }

  protected override ping(): void {
    if (this.#connected) this.outlet.controlText(PING);
  }

  protected override lost(channel: string): void {
    this.outlet.control({ op: "unsubscribed", channel, code: "token_expired" });
  }

  #handle(text: string): void {
    const frame = parseClientFrame(text);
    if (!this.#connected) {
      this.#connect(frame);
    } else if (isProblem(frame)) {
      this.outlet.control({ op: "error", code: frame.code, message: frame.message });
    } else {
      this.#command(frame);
    }
  }

  #connect(frame: ReturnType<typeof parseClientFrame>): void {
    if (isProblem(frame) || frame.op !== "connect") {
      const why = isProblem(frame) ? frame.message : `got ${frame.op}`;
      this.close("protocol_error", `the first frame must be connect: ${why}`);
      return;
    }
    if (!this.heard(Math.max(0, frame.subscribe.length - 1))) return;
    this.clients.connectDeadlines.delete(this);
    const { insecure, publicChannels } = this.clients.config;
    if (frame.token === undefined || insecure) {
      if (!insecure && publicChannels.length === 0) {
        this.clients.stats.authFailed("token_required");
        this.close("token_required", "a token is needed");
        return;
      }
      this.#welcome(null);
      this.#subscribeAll(frame.subscribe);
      return;
    }
    this.#withToken(frame.token, (grant) => {
      if (grant instanceof TokenError) {
        this.close(grant.reason, grant.message);
        return;
      }
      this.rights.add(grant);
      this.watchTokens();
      this.#welcome(expiresIn(grant));
      this.#subscribeAll(frame.subscribe);
    });
  }

  #welcome(expiresInMs: number | null): void {
    this.#connected = true;
    const { frameBytes, messageBytes, channels } = this.clients.config.limits;
    this.outlet.control({
      op: "connected",
      protocol: SUBPROTOCOL,
      pingMs: this.clients.config.heartbeat.interval,
      expiresInMs,
      limits: { frameBytes, messageBytes, channels },
    });
  }

  #command(frame: ParsedFrame): void {
    switch (frame.op) {
      case "connect":
        this.close("protocol_error", "connect came twice");
        return;
      case "pong":
        return;
      case "refresh":
        this.#addToken(frame.token, () => {});
        return;
      case "unsubscribe":
        if (this.heard(Math.max(0, frame.channels.length - 1))) {
          for (const channel of frame.channels) this.#unsubscribe(channel);
        }
        return;
      case "subscribe":
        if (!this.heard(Math.max(0, frame.subscribe.length - 1))) return;
        if (frame.token === undefined) this.#subscribeAll(frame.subscribe);
        else this.#addToken(frame.token, () => this.#subscribeAll(frame.subscribe));
        return;
    }
  }

  /** Adds a token's rights and answers `refreshed` or `error`, then goes on with `next`. */
  #addToken(token: string, next: () => void): void {
    if (this.clients.config.insecure) {
      // Nothing depends on the token here; the client learns when it would refresh it again.
      this.outlet.control({ op: "refreshed", expiresInMs: this.clients.config.tokens.lifetime });
      next();
      return;
    }
    this.#withToken(token, (grant) => {
      if (grant instanceof TokenError) {
        this.outlet.control({ op: "error", code: grant.reason, message: grant.message });
      } else {
        const refused = this.rights.add(grant);
        if (refused) {
          this.clients.stats.authFailed(refused);
          this.outlet.control({ op: "error", code: refused, message: REFUSALS[refused] });
        } else {
          this.watchTokens();
          this.outlet.control({ op: "refreshed", expiresInMs: expiresIn(grant) });
        }
      }
      next();
    });
  }

  /** Verifies a token. Frames that arrive meanwhile wait, so that all are handled in order. */
  #withToken(token: string, next: (grant: Grant | TokenError) => void): void {
    this.#queue = [];
    this.ws.pause();
    this.clients
      .verify(token)
      .catch((error: unknown) =>
        error instanceof TokenError ? error : new TokenError("token_invalid", messageOf(error)),
      )
      .then((grant) => {
        if (!this.outlet.dead) next(grant);
        const waiting = this.#queue ?? [];
        this.#queue = undefined;
        while (waiting.length > 0 && !this.outlet.dead && this.#queue === undefined) {
          this.#handle(waiting.shift() as string);
        }
        // One of them brought a token too: the rest waits for that one.
        if (this.#queue !== undefined) (this.#queue as string[]).push(...waiting);
        else this.ws.resume();
      })
      .catch((error: unknown) => {
        this.clients.log.error({ err: error }, "frame handling failed");
        this.terminate();
      });
  }

  #subscribeAll(entries: readonly SubscribeEntry[]): void {
    this.rights.expire(Date.now());
    const replays: (() => void)[] = [];
    for (const entry of entries) {
      if (this.outlet.dead) return;
      const replay = this.#subscribe(entry);
      if (replay) replays.push(replay);
    }
    for (const replay of replays) replay();
  }

  /** Answers one entry; returns what starts its replay. */
  #subscribe(entry: SubscribeEntry): (() => void) | undefined {
    if (isProblem(entry)) {
      this.outlet.control({ op: "error", ...entry });
      return undefined;
    }
    const { channel, since } = entry;
    if (!this.rights.allows(channel)) {
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
    const { subscription, seq, recovered, replay } = hub.subscribe(
      this.outlet,
      channel,
      since,
      old,
    );
    this.subscriptions.set(channel, subscription);
    this.outlet.control({ op: "subscribed", channel, epoch: hub.epoch, seq, recovered });
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

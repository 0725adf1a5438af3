/**
 * What an operator may look at: the relay's figures, its busiest channels, the clients that hold most,
 * and what a channel has lately carried. It is read from what is there anyway when it is asked for,
 * so that it costs nothing otherwise.
 */
import type { ChannelHistory, Entry } from "./channels/channel-history.ts";
import type { RetainedFigures } from "./channels/retained.ts";
import { ClientConnection } from "./clients/client-connection.ts";
import type { Clients } from "./clients/clients.ts";
import type { Log } from "./log/log.ts";
import type { LogStats } from "./log/valkey/stats.ts";
import { ValkeyLog } from "./log/valkey/valkey-log.ts";
import type { Stats } from "./node/stats.ts";

/** A channel as this node knows it. */
export interface ChannelFigures extends RetainedFigures {
  readonly channel: string;
  /** Number of its last message in this epoch; undefined where nothing but last values is left of it. */
  readonly seq: number | undefined;
  readonly subscriptions: number;
  /** Users that are seen in it, on all nodes; undefined where no rule lets anybody be seen. */
  readonly members: number | undefined;
  /** Messages that are remembered, and their bytes. */
  readonly kept: number;
  readonly keptBytes: number;
}

/** A client for which something is held. */
export interface SlowClientFigures {
  /** Of the client, behind trusted proxies. */
  readonly address: string | undefined;
  /** Unsent bytes that this process holds for it. */
  readonly heldBytes: number;
  readonly subscriptions: number;
  /** It is fed from the history, or gets only the latest. */
  readonly waiting: boolean;
}

/** The log that nodes share; see `ValkeyLog`. */
export interface SharedLogFigures {
  readonly current: boolean;
  readonly lag: number;
  readonly engineBytes: number;
  readonly reconnects: number;
  readonly appended: LogStats["appended"];
  readonly resets: LogStats["resets"];
}

/** A message of the history. */
export interface HistoryMessage {
  readonly seq: number;
  readonly eventName: string;
  /** Of the encoded message. */
  readonly bytes: number;
  /** Ms since the relay accepted it. */
  readonly agoMs: number;
  /** The payload's JSON text, cut after `payloadBytes` of it. */
  readonly payload?: string;
}

/** Where somebody who looks at a channel stands. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What was published in a channel since a position. */
export interface ChannelNews {
  /** Where to go on. */
  readonly position: Position;
  readonly messages: readonly HistoryMessage[];
  /** Messages that were passed over: they are not remembered any more, or were too many. */
  readonly missed: number;
}

/** Reads only; every answer is of the moment it is asked for, and of this node unless it says otherwise. */
export class Inspection {
  readonly #clients: Clients;
  readonly #messageLog: Log;
  readonly #clock: () => number;

  /** @param clock that of the hub, ms */
  constructor(clients: Clients, messageLog: Log, clock: () => number) {
    this.#clients = clients;
    this.#messageLog = messageLog;
    this.#clock = clock;
  }

  get stats(): Stats {
    return this.#clients.stats;
  }

  get epoch(): string {
    return this.#clients.hub.epoch;
  }

  /** Gauges of the moment. */
  gauges() {
    const { hub, connections } = this.#clients;
    return {
      connections: connections.size,
      channels: hub.channels.size,
      heldBytes: hub.measure(),
      historyMessages: hub.history.count,
      historyBytes: hub.history.bytes,
    };
  }

  /** Undefined where this node numbers its messages itself. */
  sharedLog(): SharedLogFigures | undefined {
    const log = this.#messageLog;
    if (!(log instanceof ValkeyLog)) return undefined;
    const { isCurrent: current, lag, engineBytes, stats } = log;
    const { reconnects, appended, resets } = stats;
    return { current, lag, engineBytes, reconnects, appended, resets };
  }

  /** All channels: the caller takes what it needs, so that many of them cost no array. */
  *channels(): Generator<ChannelFigures> {
    const { hub, presence } = this.#clients;
    for (const channel of hub.names()) {
      const { history, subscriptions } = hub.channels.get(channel) ?? {};
      yield {
        channel,
        seq: history?.seq,
        subscriptions: subscriptions?.size ?? 0,
        members: presence?.roster.count(channel),
        kept: history?.size ?? 0,
        keptBytes: history?.bytes ?? 0,
        ...hub.retained.figuresOf(channel),
      };
    }
  }

  /** Users seen in channels, and the nodes that say so; undefined where no rule lets anybody be seen. */
  presence(): { readonly members: number; readonly nodes: readonly string[] } | undefined {
    const { presence } = this.#clients;
    if (!presence) return undefined;
    return { members: presence.roster.size, nodes: [...presence.roster.nodes] };
  }

  /** The clients for which most is held, at most `limit`, the fullest first. */
  slowClients(limit: number): SlowClientFigures[] {
    const { hub } = this.#clients;
    hub.measure();
    return [...hub.holding]
      .sort((a, b) => b.accounted - a.accounted)
      .slice(0, limit)
      .map(({ owner, accounted: heldBytes, waiting }) => {
        const client = owner instanceof ClientConnection ? owner : undefined;
        const subscriptions = client?.subscriptions.size ?? 0;
        return { address: client?.peer.address, heldBytes, subscriptions, waiting };
      });
  }

  /** Where to begin for the last `messages`. */
  positionBehind(channel: string, messages: number): Position {
    const { hub } = this.#clients;
    return { epoch: hub.epoch, seq: Math.max(0, hub.headOf(channel) - messages) };
  }

  /**
   * What the channel has carried since `position`, from the history: at most the last `limit` messages.
   * @param payloadBytes of each payload; 0 for none of it
   */
  newsOf(channel: string, position: Position, limit: number, payloadBytes: number): ChannelNews {
    const { hub } = this.#clients;
    const history = hub.channels.get(channel)?.history;
    const { epoch } = hub;
    if (!history) return { position: { epoch, seq: hub.headOf(channel) }, messages: [], missed: 0 };
    // A new epoch counts from elsewhere: what it has is shown from its beginning.
    const from = epoch === position.epoch ? position.seq + 1 : history.evictedSeq + 1;
    const first = Math.max(from, history.evictedSeq + 1, history.seq - limit + 1);
    return {
      position: { epoch, seq: history.seq },
      messages: this.#messages(history, first, payloadBytes),
      missed: Math.max(0, first - from),
    };
  }

  #messages(history: ChannelHistory, first: number, payloadBytes: number): HistoryMessage[] {
    const now = this.#clock();
    const messages: HistoryMessage[] = [];
    for (let seq = first; seq <= history.seq; seq++) {
      const entry = history.get(seq);
      if (!entry) continue;
      const { eventName, frame, at } = entry;
      const shown = payloadBytes > 0 ? { payload: payloadOf(entry, payloadBytes) } : {};
      messages.push({ seq, eventName, bytes: frame.length, agoMs: now - at, ...shown });
    }
    return messages;
  }
}

/** Cut at a byte: half a character becomes a replacement character. */
function payloadOf({ frame, payloadStart, payloadEnd }: Entry, bytes: number): string {
  return frame.toString("utf8", payloadStart, Math.min(payloadEnd, payloadStart + bytes));
}

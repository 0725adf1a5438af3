/** Real sockets from the driver to a subscriber: clients that recover, producers. */
import { once } from "node:events";
import oracledb from "oracledb";
import WebSocket from "ws";
import { type MessageFrame, type ServerFrame, SUBPROTOCOL } from "../../relay/contract/protocol.ts";

/** A subscriber that reconnects with its position until it is closed, and keeps all it got. */
export class Subscriber {
  readonly messages: MessageFrame[] = [];
  /** How often the relay said that it cannot fill the gap. */
  gaps = 0;
  connections = 0;
  readonly #url: () => string;
  readonly #channels: readonly string[];
  readonly #positions = new Map<string, { epoch: string; seq: number }>();
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #live: (() => void) | undefined;

  constructor(url: () => string, channels: readonly string[]) {
    this.#url = url;
    this.#channels = channels;
    this.#open();
  }

  /** Resolves when every channel is subscribed on the present connection. */
  live(): Promise<void> {
    return new Promise((resolve) => {
      this.#live = resolve;
    });
  }

  #open(): void {
    if (this.#closed) return;
    const socket = new WebSocket(this.#url(), SUBPROTOCOL);
    this.#socket = socket;
    let left = this.#channels.length;
    socket.on("open", () => {
      const subscribe = this.#channels.map((channel) => ({
        channel,
        since: this.#positions.get(channel),
      }));
      socket.send(JSON.stringify({ op: "connect", subscribe }));
    });
    socket.on("message", (data) => {
      const frame = JSON.parse(data.toString()) as ServerFrame | MessageFrame;
      if (!("op" in frame)) {
        this.messages.push(frame);
        this.#positions.get(frame.channel)!.seq = frame.seq;
      } else if (frame.op === "ping") socket.send('{"op":"pong"}');
      else if (frame.op === "subscribed") {
        const known = this.#positions.get(frame.channel);
        if (known && !frame.recovered) this.gaps++;
        const seq = known && frame.recovered ? known.seq : frame.seq;
        this.#positions.set(frame.channel, { epoch: frame.epoch, seq });
        if (--left === 0) {
          this.connections++;
          this.#live?.();
        }
      } else if (frame.op === "error") throw new Error(`${frame.code}: ${frame.message}`);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#timer = setTimeout(() => this.#open(), 20);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (!socket || socket.readyState === WebSocket.CLOSED) return;
    const closed = once(socket, "close");
    socket.terminate();
    await closed;
    clearTimeout(this.#timer);
  }
}

export interface Load {
  /** Payloads of committed messages by session, in the order of their calls. */
  readonly committed: Map<number, number[]>;
  readonly rolledBack: Set<string>;
}

export interface LoadOptions {
  readonly connect: () => Promise<oracledb.Connection>;
  readonly sessions: number;
  /** Committed messages in all. */
  readonly messages: number;
  readonly channel: (session: number) => string;
  /** Called after each transaction with the number of committed messages so far. */
  readonly onProgress?: (committed: number) => void;
}

/**
 * Transactions of 1 to 20 messages from concurrent sessions; every tenth is rolled back. A message
 * is `{session, n}`, and n grows by one per session over committed messages only.
 */
export async function runLoad(options: LoadOptions): Promise<Load> {
  const committed = new Map<number, number[]>();
  const rolledBack = new Set<string>();
  let total = 0;
  const perSession = options.messages / options.sessions;
  await Promise.all(
    Array.from({ length: options.sessions }, async (_unused, session) => {
      const connection = await options.connect();
      const mine: number[] = [];
      committed.set(session, mine);
      let lost = 0;
      for (let tx = 1; mine.length < perSession; tx++) {
        const rollback = tx % 10 === 0;
        const size = Math.min(1 + ((tx * 7 + session * 3) % 20), perSession - mine.length);
        const ns = Array.from({ length: size }, (_each, index) =>
          rollback ? -1 - lost - index : mine.length + index,
        );
        await connection.executeMany(
          "begin websocket_api.broadcast_item(:1, :2, :3, :4, :5); end;",
          ns.map((n) => [
            null,
            null,
            options.channel(session),
            "load",
            JSON.stringify({ session, n }),
          ]),
          {
            bindDefs: [
              { type: oracledb.STRING, maxSize: 10 },
              { type: oracledb.STRING, maxSize: 10 },
              { type: oracledb.STRING, maxSize: 128 },
              { type: oracledb.STRING, maxSize: 128 },
              { type: oracledb.STRING, maxSize: 4000 },
            ],
          },
        );
        if (rollback) {
          await connection.rollback();
          for (const n of ns) rolledBack.add(`${session}:${n}`);
          lost += size;
        } else {
          await connection.commit();
          mine.push(...ns);
          total += size;
          options.onProgress?.(total);
        }
      }
      await connection.close();
    }),
  );
  return { committed, rolledBack };
}

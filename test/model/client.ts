/** A page: it subscribes, reconnects with its position, and writes down what it was told. */
import { WebSocket } from "ws";
import { EventReader, poll } from "../protocol-kit/event-stream.ts";

export interface Seen {
  readonly id: string;
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
  readonly payload: { readonly session: number; readonly n: number };
}

interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What carries its messages. */
export type Carrier = "websocket" | "stream" | "poll";

/** How long a poll waits, ms. */
const POLL_MS = 300;

export interface ModelClientOptions {
  readonly carrier: Carrier;
  readonly channels: readonly string[];
  /** Port of the relay that serves now; undefined while there is none. */
  readonly port: () => number | undefined;
  /** How many rows a page that refreshes itself now would find in the database. */
  readonly committedRows: () => number;
}

export class ModelClient {
  /** Messages in the order they came, per channel. */
  readonly stream: Seen[] = [];
  /** Per channel: rows below this index were there when the page refreshed itself last. */
  readonly refreshed = new Map<string, number>();
  /** What must never happen. */
  readonly problems: string[] = [];
  readonly #options: ModelClientOptions;
  readonly #positions = new Map<string, Position>();
  #ws: WebSocket | undefined;
  #reader: EventReader | undefined;
  /** Settles when the request under way is over. */
  #asking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ModelClientOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Cuts the connection as a network does; the client comes back by itself. */
  cut(): void {
    this.#ws?.terminate();
    this.#reader?.destroy();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#reader?.destroy();
    await this.#asking;
    const ws = this.#ws;
    if (!ws || ws.readyState === WebSocket.CLOSED) return;
    await new Promise((resolve) => {
      ws.once("close", resolve);
      ws.terminate();
    });
  }

  #connect(): void {
    const port = this.#options.port();
    if (port === undefined) {
      this.#again();
      return;
    }
    const { carrier } = this.#options;
    if (carrier !== "websocket") {
      this.#asking = (carrier === "stream" ? this.#stream(port) : this.#poll(port))
        // The relay went away, or is not there.
        .catch(() => {})
        .finally(() => this.#again());
      return;
    }
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, ["rtm.v1"], { perMessageDeflate: false });
    this.#ws = ws;
    ws.on("error", () => {});
    ws.on("close", () => this.#again());
    ws.on("open", () => {
      ws.send(JSON.stringify({ op: "connect", subscribe: this.#subscribe() }));
    });
    ws.on("message", (data) => {
      if (ws !== this.#ws) return;
      const frame = JSON.parse(data.toString());
      if (frame.op === "ping") ws.send('{"op":"pong"}');
      else this.#frame(frame);
    });
  }

  #subscribe(): object[] {
    return this.#options.channels.map((channel) => {
      const since = this.#positions.get(channel);
      return since ? { channel, since } : { channel };
    });
  }

  async #stream(port: number): Promise<void> {
    const reader = await EventReader.stream({ port }, { subscribe: this.#subscribe() });
    this.#reader = reader;
    if (this.#stopped) reader.destroy();
    while (!reader.ended) {
      for (const { data } of reader.events.splice(0)) this.#frame(JSON.parse(data));
      if (!reader.ended) await reader.changed("an event").catch(() => {});
    }
    // What came with the end.
    for (const { data } of reader.events.splice(0)) this.#frame(JSON.parse(data));
  }

  async #poll(port: number): Promise<void> {
    const first = this.#positions.size === 0;
    const ask = { waitMs: first ? 0 : POLL_MS, subscribe: this.#subscribe() };
    const { frames } = await poll({ port }, ask);
    for (const frame of frames) this.#frame(frame);
  }

  #again(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#connect(), 10);
  }

  #frame(frame: Record<string, unknown>): void {
    if (frame.op === "subscribed") this.#subscribed(frame as never);
    else if (frame.op === "error") this.problems.push(JSON.stringify(frame));
    else if (frame.op === undefined) this.#message(frame as never);
  }

  #subscribed(frame: Position & { channel: string; recovered: boolean }): void {
    const { channel, epoch, seq, recovered } = frame;
    const position = this.#positions.get(channel);
    if (!recovered) {
      this.#positions.set(channel, { epoch, seq });
      this.refreshed.set(channel, this.#options.committedRows());
    } else if (position?.epoch !== epoch || position.seq > seq) {
      this.problems.push(`${channel} recovered ${JSON.stringify(position)} in ${epoch}:${seq}`);
    }
  }

  #message(frame: Omit<Seen, "epoch">): void {
    const { channel, seq } = frame;
    const position = this.#positions.get(channel);
    if (!position) this.problems.push(`a message of ${channel} before its subscribed frame`);
    else if (seq !== position.seq + 1) {
      this.problems.push(`${channel}: ${seq} came after ${position.seq}`);
    }
    const epoch = position?.epoch ?? "";
    this.#positions.set(channel, { epoch, seq });
    const { id, payload } = frame;
    this.stream.push({ id, channel, seq, payload, epoch });
  }
}

/** One publisher's socket: frames are taken one after the other, and answered in their order. */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { ApiKey, Keys } from "../../access/keys.ts";
import type { Clients } from "../../clients/clients.ts";
import { CLOSE, type CloseName } from "../../contract/protocol.ts";
import { PUBLISH_SUBPROTOCOL, type PublishServerFrame } from "../../contract/publish-protocol.ts";
import { needTrust, presentedKey } from "../api.ts";
import { type Intake, Pace } from "../intake.ts";
import type { ReadItem } from "../items.ts";
import { Refusal } from "../request-body.ts";
import { type ReadFrame, readPublishFrame } from "./publish-frame.ts";

/** Frames that may be unanswered. */
export const WINDOW = 32;
/** Of answers that the publisher has not read; beyond it nothing more is read, bytes. */
const MAX_UNREAD_BYTES = 256 * 1024;

type PublishFrame = Extract<ReadFrame, { op: "publish" }>;
interface Waiting {
  readonly frame: ReadFrame;
  readonly bytes: number;
}

/** A frame, and what is taken of it, or why nothing is. */
type Opened =
  | { readonly frame: PublishFrame; readonly items: readonly ReadItem[] }
  | { readonly frame: PublishFrame; readonly refusal: Refusal };

export interface PublishConnectionOptions {
  readonly ws: WebSocket;
  /** What it was upgraded from. */
  readonly socket: Socket;
  readonly clients: Clients;
  readonly intake: Intake;
  /** What came in `x-api-key`. */
  readonly presented: unknown;
  /** The publisher needs its ids to be kept. */
  readonly ownIds: boolean;
  readonly address: string | undefined;
  /** It was told to go. What it may still send is bounded by whoever made it. */
  readonly onLeave: (connection: PublishConnection) => void;
  readonly onGone: (connection: PublishConnection) => void;
}

/** What is said of frames behind one that was refused. */
function behind({ code, message }: Refusal): Refusal {
  if (code === "unavailable") return new Refusal(code, message);
  return new Refusal("unavailable", `a frame before it was refused (${code})`);
}

export class PublishConnection {
  readonly socket: Socket;
  readonly #options: PublishConnectionOptions;
  readonly #ws: WebSocket;
  /** Arrived, and not yet looked at. */
  #waiting: Waiting[] = [];
  /** Of frames that are not answered. */
  #unanswered = 0;
  #bytes = 0;
  #taking = false;
  #paused = false;
  /** Why nothing is taken before `resume`. */
  #held: Refusal | undefined;
  #goodbye: { readonly name: CloseName; readonly reason: string } | undefined;
  #left = false;
  #heardAt = performance.now();
  /** Of the socket, when it was looked at last. */
  #bytesRead = 0;
  #keys: Keys | undefined;
  #key: ApiKey | undefined;

  constructor(options: PublishConnectionOptions) {
    this.#options = options;
    const { ws, socket, clients } = options;
    this.#ws = ws;
    this.socket = socket;
    ws.on("message", (data: Buffer, isBinary: boolean) => this.#received(data, isBinary));
    ws.on("ping", (data: Buffer) => this.#pinged(data));
    ws.on("pong", () => this.#heard());
    ws.on("error", (error) => clients.log.debug({ reason: error.message }, "publisher error"));
    ws.on("close", () => this.#gone());
    socket.on("drain", () => this.#readOn());
    const { batchMessages, batchBytes, messageBytes } = clients.config.limits;
    this.#send({
      op: "ready",
      protocol: PUBLISH_SUBPROTOCOL,
      window: WINDOW,
      pingMs: clients.config.heartbeat.interval,
      limits: { batchMessages, batchBytes, messageBytes },
    });
  }

  /**
   * Asks whether it is still there. Times of the monotonic clock, ms.
   * @param silentSince who was not heard since then is closed
   * @param stalledSince the same where bytes have come, of a frame that is not complete
   */
  beat(silentSince: number, stalledSince: number): void {
    const { bytesRead } = this.socket;
    const moved = bytesRead > this.#bytesRead;
    this.#bytesRead = bytesRead;
    // While it waits for us it cannot be heard.
    const since = moved ? stalledSince : silentSince;
    if (!this.#taking && this.#heardAt < since) {
      this.close("heartbeat_timeout", "nothing heard");
      this.#ws.terminate();
    } else if (this.#hasRoom) this.#ws.ping();
  }

  /** Takes nothing more, answers what has arrived, and goes. */
  close(name: CloseName, reason: string): void {
    if (this.#goodbye) return;
    this.#goodbye = { name, reason };
    if (!this.#taking) this.#leave();
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** Whether more may be written to it. */
  get #hasRoom(): boolean {
    return this.#ws.readyState === this.#ws.OPEN && this.#ws.bufferedAmount < MAX_UNREAD_BYTES;
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }

  #pinged(data: Buffer): void {
    this.#heard();
    if (this.#hasRoom) this.#ws.pong(data);
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#heard();
    if (this.#left) return;
    const frame = isBinary ? "" : readPublishFrame(data.toString());
    if (typeof frame === "string") {
      if (isBinary) this.close("binary_frame", "frames are JSON text");
      else this.close("protocol_error", frame);
      return;
    }
    if (this.#goodbye) return;
    this.#waiting.push({ frame, bytes: data.length });
    this.#unanswered++;
    this.#bytes += data.length;
    if (!this.#mayRead) this.#pause();
    if (this.#taking) return;
    this.#taking = true;
    // After this turn: what has come with it is taken together.
    queueMicrotask(() => void this.#takeAll());
  }

  get #mayRead(): boolean {
    const { batchBytes } = this.#options.clients.config.limits;
    return this.#unanswered < WINDOW && this.#bytes < batchBytes && this.#hasRoom;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#ws.pause();
  }

  #readOn(): void {
    if (!this.#paused || !this.#mayRead) return;
    this.#paused = false;
    this.#heard();
    this.#ws.resume();
  }

  async #takeAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const waiting = this.#waiting;
        this.#waiting = [];
        await this.#take(waiting.map(({ frame }) => frame));
        this.#unanswered -= waiting.length;
        for (const { bytes } of waiting) this.#bytes -= bytes;
        this.#readOn();
      }
    } catch (error) {
      this.#options.clients.log.error({ err: error }, "what a publisher sent could not be taken");
      this.#ws.terminate();
    }
    this.#taking = false;
    if (this.#goodbye) this.#leave();
  }

  /** Takes frames up to each `resume` together. */
  async #take(frames: readonly ReadFrame[]): Promise<void> {
    let run: PublishFrame[] = [];
    for (const frame of frames) {
      if (frame.op === "publish") {
        run.push(frame);
        continue;
      }
      await this.#publish(run);
      run = [];
      if (frame.op === "resume") this.#held = undefined;
      else {
        const message = `op ${JSON.stringify(frame.name)} is not known`;
        this.#send({ op: "error", code: "unknown_op", message });
      }
    }
    await this.#publish(run);
  }

  async #publish(frames: readonly PublishFrame[]): Promise<void> {
    if (frames.length === 0) return;
    const key = this.#currentKey();
    const opened = await this.#open(frames, key);
    const items = opened.flatMap((each) => ("items" in each ? each.items : []));
    const answers = items.length === 0 ? [] : await this.#options.intake.take(items, key as ApiKey);
    const unavailable = answers.find((answer) => !answer.ok && answer.code === "unavailable");
    if (unavailable && !unavailable.ok) {
      this.#held ??= new Refusal("unavailable", unavailable.message);
    }
    const { publishFrames } = this.#options.clients.stats;
    let next = 0;
    this.socket.cork();
    for (const each of opened) {
      const { n } = each.frame;
      if ("refusal" in each) {
        const { code, message } = each.refusal;
        publishFrames.add(code === "unavailable" ? "held" : "refused");
        this.#send({ op: "refused", n, code, message });
        continue;
      }
      publishFrames.add("taken");
      const end = next + each.items.length;
      this.#send({ op: "results", n, results: answers.slice(next, end) });
      next = end;
    }
    this.socket.uncork();
    if (key instanceof Refusal) this.close("forbidden", "the API key is none of this relay's");
  }

  /** Reads the items of each; behind a frame that is refused nothing is taken. */
  async #open(frames: readonly PublishFrame[], key: ApiKey | Refusal): Promise<Opened[]> {
    const { intake } = this.#options;
    const pace = new Pace();
    const opened: Opened[] = [];
    for (const frame of frames) {
      const refusal = key instanceof Refusal ? key : this.#held;
      if (refusal) {
        opened.push({ frame, refusal });
        this.#held ??= behind(refusal);
        continue;
      }
      try {
        const items = await intake.read(frame.texts, key as ApiKey, pace);
        opened.push({ frame, items });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#held = behind(error);
        opened.push({ frame, refusal: error });
      }
      if (pace.isDue) await pace.turn();
    }
    return opened;
  }

  /** The key may have been taken away, or changed, while the socket was open. */
  #currentKey(): ApiKey | Refusal {
    const { clients, presented, ownIds } = this.#options;
    if (this.#keys === clients.keys && this.#key) return this.#key;
    try {
      const key = presentedKey(presented, clients);
      if (ownIds) needTrust(key);
      this.#keys = clients.keys;
      this.#key = key;
      return key;
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  #send(frame: PublishServerFrame): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.send(JSON.stringify(frame));
  }

  #leave(): void {
    if (this.#left || !this.#goodbye) return;
    this.#left = true;
    const { name, reason } = this.#goodbye;
    this.#options.clients.closing(name, this.#options.address);
    this.#ws.resume();
    this.#ws.close(CLOSE[name], reason);
    this.#options.onLeave(this);
  }

  #gone(): void {
    this.#left = true;
    this.#options.onGone(this);
  }
}

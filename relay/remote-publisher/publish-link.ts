/** A publisher's end of one socket to a relay: a window of frames under way, each with its answer. */
import { WebSocket } from "ws";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { IDS_HEADER } from "../contract/protocol.ts";
import { PUBLISH_SUBPROTOCOL, type PublisherFrame } from "../contract/publish-protocol.ts";
import { broadcastRefusal } from "../http/broadcast-answer.ts";
import { type Encoded, isPassing, listOf } from "./parts.ts";

/** What a relay answers at most, bytes. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Of the body of a handshake that was refused, bytes. */
const MAX_REFUSAL_BYTES = 4096;
const RESUME = JSON.stringify({ op: "resume" } satisfies PublisherFrame);

/** What became of a part. */
export type PartAnswer =
  | { readonly kind: "results"; readonly results: readonly unknown[] }
  /** Nothing of it was taken. `unsent`: nobody was asked, and nothing behind it is held back. */
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      readonly unsent?: true;
    }
  /** It was not sent: something before it in the same call was not taken, or the socket is gone. */
  | { readonly kind: "unsent"; readonly message: string }
  /** Whether it was taken is not known. */
  | { readonly kind: "lost"; readonly message: string };

/** Parts that must not overtake each other. */
export interface Call {
  /** One of them was not taken: no later one is sent. */
  down: boolean;
}

export type Opened =
  | { readonly kind: "open"; readonly link: PublishLink }
  /** A relay answered that it does not take this publisher now. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** There is no publishing socket on this way. */
  | { readonly kind: "none"; readonly message: string };

export interface PublishLinkOptions {
  readonly url: URL;
  readonly apiKey: string;
  /** Without an answer for so long it is given up; also until it is ready, ms. */
  readonly timeoutMs: number;
}

interface Sending {
  readonly part: readonly Encoded[];
  readonly call: Call;
  readonly resolve: (answer: PartAnswer) => void;
}

const whole = z.number().int().min(0);
const ready = z.object({
  op: z.literal("ready"),
  window: z.number().int().min(1),
  pingMs: z.number().min(1),
  limits: z.object({ batchMessages: whole.min(1), batchBytes: whole.min(1) }),
});
const answer = z.union([
  z.object({ op: z.literal("results"), n: whole, results: z.array(z.unknown()) }),
  z.object({ op: z.literal("refused"), n: whole, code: z.string(), message: z.string() }),
]);

type Ready = z.output<typeof ready>;

/** Whether anything of the answers has to be tried again: then the relay takes nothing behind it. */
function holds(results: readonly unknown[]): boolean {
  return results.some((each) => (each as { code?: unknown } | null)?.code === "unavailable");
}

export class PublishLink {
  readonly #ws: WebSocket;
  readonly #ready: Ready;
  readonly #timeoutMs: number;
  /** Not sent yet. */
  readonly #outbox: Sending[] = [];
  /** Sent and not answered, by their numbers, oldest first. */
  readonly #underWay = new Map<number, Sending>();
  #n = 0;
  #held = false;
  #retired = false;
  #dead: string | undefined;
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** Frames that were answered. */
  answers = 0;

  constructor(ws: WebSocket, first: Ready, timeoutMs: number) {
    this.#ws = ws;
    this.#ready = first;
    this.#timeoutMs = timeoutMs;
    ws.on("message", (data: Buffer) => this.#received(data));
    ws.on("ping", () => {
      this.#heardAt = performance.now();
    });
    ws.on("error", (error) => this.#end(messageOf(error)));
    ws.on("close", (code) => this.#end(`the relay closed the socket (${code})`));
  }

  /** Opens one; never rejects. */
  static open({ url, apiKey, timeoutMs }: PublishLinkOptions): Promise<Opened> {
    const ws = new WebSocket(url, PUBLISH_SUBPROTOCOL, {
      headers: { "x-api-key": apiKey, [IDS_HEADER]: "keep" },
      perMessageDeflate: false,
      maxPayload: MAX_ANSWER_BYTES,
      followRedirects: false,
    });
    return new Promise((resolve) => {
      const settle = (opened: Opened) => {
        clearTimeout(timer);
        if (opened.kind !== "open") {
          ws.removeAllListeners();
          ws.on("error", () => {});
          ws.terminate();
        }
        resolve(opened);
      };
      const none = (message: string) => settle({ kind: "none", message });
      const timer = setTimeout(() => none(`no answer within ${timeoutMs} ms`), timeoutMs);
      ws.on("unexpected-response", (_request, response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= MAX_REFUSAL_BYTES) chunks.push(chunk);
        });
        response.on("error", (error) => none(messageOf(error)));
        response.on("end", () => {
          const refusal = readRefusal(Buffer.concat(chunks).toString());
          settle(refusal ?? { kind: "none", message: `status ${response.statusCode}` });
        });
      });
      ws.on("error", (error) => none(messageOf(error)));
      ws.on("close", (code) => none(`closed with ${code} before it was ready`));
      ws.once("message", (data: Buffer) => {
        const first = ready.safeParse(parse(data));
        if (!first.success) none("what opened is no relay");
        else {
          ws.removeAllListeners();
          const link = new PublishLink(ws, first.data, timeoutMs);
          settle({ kind: "open", link });
        }
      });
    });
  }

  get limits(): Ready["limits"] {
    return this.#ready.limits;
  }

  /** Whether anything may be handed to it. One that should have heard a ping by now is ended. */
  get usable(): boolean {
    if (this.#dead !== undefined || this.#retired) return false;
    if (this.#underWay.size > 0) return true;
    if (performance.now() - this.#heardAt <= 2 * this.#ready.pingMs) return true;
    this.#end("the relay was not heard");
    return false;
  }

  /** Sends the part when there is room in the window. */
  send(part: readonly Encoded[], call: Call): Promise<PartAnswer> {
    return new Promise((resolve) => {
      this.#outbox.push({ part, call, resolve });
      this.#pump();
    });
  }

  /** Closes it when all that was handed over is answered. */
  retire(): void {
    this.#retired = true;
    this.#pump();
  }

  close(): void {
    this.#end("the publisher was closed");
  }

  #pump(): void {
    for (let next = this.#outbox[0]; next; next = this.#outbox[0]) {
      if (this.#dead !== undefined || next.call.down) {
        this.#outbox.shift();
        next.resolve({ kind: "unsent", message: this.#dead ?? "held back" });
        continue;
      }
      if (this.#held) {
        // What is under way is answered before: nothing of it may be taken after `resume`.
        if (this.#underWay.size > 0) return;
        this.#ws.send(RESUME);
        this.#held = false;
      }
      if (this.#underWay.size >= this.#ready.window) return;
      this.#outbox.shift();
      const n = this.#n++;
      this.#underWay.set(n, next);
      this.#timer ??= this.#watch();
      this.#ws.send(`{"op":"publish","n":${n},"messages":${listOf(next.part)}}`);
    }
    if (this.#retired && this.#underWay.size === 0) this.#end("the key has changed");
  }

  #watch(): NodeJS.Timeout {
    return setTimeout(() => this.#end(`no answer within ${this.#timeoutMs} ms`), this.#timeoutMs);
  }

  #received(data: Buffer): void {
    this.#heardAt = performance.now();
    const read = answer.safeParse(parse(data));
    // Frames of later versions.
    if (!read.success) return;
    const frame = read.data;
    const [oldest] = this.#underWay.keys();
    const sending = this.#underWay.get(frame.n);
    if (frame.n !== oldest || !sending) {
      this.#end("the relay answered what was not asked");
      return;
    }
    this.#underWay.delete(frame.n);
    this.answers++;
    clearTimeout(this.#timer);
    this.#timer = this.#underWay.size > 0 ? this.#watch() : undefined;
    if (frame.op === "refused") {
      this.#held = true;
      sending.call.down = true;
      sending.resolve({ kind: "refused", code: frame.code, message: frame.message });
    } else {
      if (holds(frame.results)) {
        this.#held = true;
        sending.call.down = true;
      }
      sending.resolve({ kind: "results", results: frame.results });
    }
    this.#pump();
  }

  #end(message: string): void {
    if (this.#dead !== undefined) return;
    this.#dead = message;
    clearTimeout(this.#timer);
    this.#ws.removeAllListeners();
    this.#ws.on("error", () => {});
    // Gives the relay a chance to see it go; `terminate` would reset what it still reads.
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.close();
    const kill = setTimeout(() => this.#ws.terminate(), 1000).unref();
    this.#ws.on("close", () => clearTimeout(kill));
    for (const sending of this.#underWay.values()) {
      sending.call.down = true;
      sending.resolve({ kind: "lost", message });
    }
    this.#underWay.clear();
    this.#pump();
  }
}

function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}

/** What a relay says when it does not take this publisher; undefined when it is somebody else who speaks. */
function readRefusal(text: string): Opened | undefined {
  const read = broadcastRefusal.safeParse(parse(Buffer.from(text)));
  if (!read.success || !isPassing(read.data.code)) return undefined;
  const { code, message } = read.data;
  return { kind: "refused", code, message };
}

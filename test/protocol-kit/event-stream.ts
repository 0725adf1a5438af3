/** A reader of event streams, by the rules of WHATWG HTML ("Server-sent events"). It knows no relay code. */
import { type IncomingMessage, request } from "node:http";
import { DEADLINE_MS, type Frame, type Target, urlOf } from "./client.ts";

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  /** What an EventSource would send as Last-Event-ID after this event. */
  readonly id: string;
}

export interface StreamRequest {
  readonly headers?: Record<string, string>;
  /** Makes it a POST. */
  readonly body?: string | object;
}

export class EventReader {
  readonly response: IncomingMessage;
  readonly events: StreamEvent[] = [];
  /** All that came, as it came. */
  raw = "";
  lastEventId = "";
  comments = 0;
  ended = false;
  #rest = "";
  #data: string[] = [];
  #type = "";
  #waiters: (() => void)[] = [];

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      this.raw += text;
      this.#read(text);
      this.#wake();
    });
    response.on("error", () => {});
    response.on("close", () => {
      this.ended = true;
      this.#wake();
    });
  }

  static open(target: Target, path: string, options: StreamRequest = {}): Promise<EventReader> {
    const { headers, body } = options;
    const text = typeof body === "object" ? JSON.stringify(body) : body;
    return new Promise((resolve, reject) => {
      const asked = request(`${urlOf(target)}${path}`, {
        method: text === undefined ? "GET" : "POST",
        headers: text === undefined ? headers : { "content-type": "text/plain", ...headers },
        agent: false,
      });
      asked.on("error", reject).on("response", (response) => resolve(new EventReader(response)));
      asked.end(text);
    });
  }

  /** `POST /stream`. */
  static stream(target: Target, connect: object = {}, headers: Record<string, string> = {}) {
    return EventReader.open(target, "/stream", { headers, body: { op: "connect", ...connect } });
  }

  get status(): number | undefined {
    return this.response.statusCode;
  }

  async nextEvent(what = "an event"): Promise<StreamEvent> {
    while (this.events.length === 0) {
      if (this.ended) throw new Error(`the stream ended while waiting for ${what}: ${this.raw}`);
      await this.changed(what);
    }
    return this.events.shift() as StreamEvent;
  }

  /** The data of the next event that is no ping. */
  async next(what?: string): Promise<Frame> {
    for (;;) {
      const frame = JSON.parse((await this.nextEvent(what)).data) as Frame;
      if (frame.op !== "ping") return frame;
    }
  }

  async nextN(count: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count)
      frames.push(await this.next(`event ${frames.length + 1}/${count}`));
    return frames;
  }

  async end(): Promise<void> {
    while (!this.ended) await this.changed("the stream to end");
  }

  async changed(what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push(resolve);
      timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), DEADLINE_MS);
    }).finally(() => clearTimeout(timer));
  }

  /** Goes away without a word. */
  destroy(): void {
    this.response.destroy();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #read(text: string): void {
    // A CR at the end may be the first half of a CRLF.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") {
      if (this.#data.length > 0) {
        const type = this.#type || "message";
        this.events.push({ type, data: this.#data.join("\n"), id: this.lastEventId });
      }
      this.#data = [];
      this.#type = "";
      return;
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "") this.comments++;
    else if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.lastEventId = value;
  }
}

/** `POST /poll`. */
export async function poll(
  target: Target,
  connect: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; frames: Frame[]; more: boolean; response: Response }> {
  const response = await fetch(`${urlOf(target)}/poll`, {
    method: "POST",
    headers: { "content-type": "text/plain", ...headers },
    body: JSON.stringify({ op: "connect", ...connect }),
  });
  const body = (await response.json()) as { frames?: Frame[]; more?: boolean };
  const { frames = [], more = false } = body;
  return { status: response.status, frames, more, response };
}

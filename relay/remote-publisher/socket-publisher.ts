/**
 * The publisher for a worker on another host: the relay's publishing socket, and `POST /api/broadcast`
 * where there is none (a relay of before, or a proxy that lets no WebSocket through).
 */
import type { ControlItem, ControlResult } from "../contract/control.ts";
import type { Message } from "../contract/message.ts";
import type { Publisher, PublishResult } from "../contract/publisher.ts";
import { HttpPublisher, type HttpPublisherOptions } from "./http-publisher.ts";
import {
  cut,
  type Encoded,
  encodeControl,
  encodeMessages,
  halves,
  isPassing,
  LIST_BYTES,
  type ReadAnswer,
  type Rejected,
  readAnswers,
  readControlled,
  readPublished,
  rejected,
  type Unavailable,
  unavailable,
} from "./parts.ts";
import { type Call, type Opened, type PartAnswer, PublishLink } from "./publish-link.ts";

/** For how long it posts where the socket did not work, ms. */
const POST_FOR_MS = 60_000;
/** Calls in a row whose socket broke before it posts. */
const MAX_BROKEN = 2;
/** Of a frame: small enough that the next is under way while the relay takes this one. */
const FRAME_MESSAGES = 100;
const FRAME_BYTES = 256 * 1024;

export type PublishWay = "socket" | "post";

export interface SocketPublisherOptions extends HttpPublisherOptions {
  /** Told when the way changes. `reason`: why there is no socket. */
  readonly onWay?: (way: PublishWay, reason?: string) => void;
  /** For how long it posts where the socket did not work, ms. Default 60000. */
  readonly postForMs?: number;
}

export class SocketPublisher implements Publisher {
  readonly #http: HttpPublisher;
  readonly #options: SocketPublisherOptions;
  readonly #url: URL;
  #apiKey: string;
  #link: PublishLink | undefined;
  #opening: Promise<Opened> | undefined;
  /** No socket is tried before, ms of the monotonic clock. */
  #postUntil = 0;
  /** Calls in a row whose socket broke. */
  #broken = 0;
  #way: PublishWay | undefined;
  #closed = false;

  /** @throws {TypeError} when the URL is none, or neither http nor https */
  constructor(options: SocketPublisherOptions) {
    this.#options = options;
    this.#http = new HttpPublisher(options);
    const { url, apiKey } = options;
    this.#url = new URL("api/publish", url.endsWith("/") ? url : `${url}/`);
    this.#url.protocol = this.#url.protocol === "https:" ? "wss:" : "ws:";
    this.#apiKey = apiKey;
  }

  /** The relay takes its key for the source of all that is handed over with it. */
  publish(batch: readonly Message[]): Promise<readonly PublishResult[]> {
    return this.#take(
      () => encodeMessages(batch),
      readPublished,
      () => this.#http.publish(batch),
    );
  }

  control(batch: readonly ControlItem[]): Promise<readonly ControlResult[]> {
    return this.#take(
      () => encodeControl(batch),
      readControlled,
      () => this.#http.control(batch),
    );
  }

  /** Takes effect with the next call. */
  useKey(apiKey: string): void {
    this.#apiKey = apiKey;
    this.#http.useKey(apiKey);
    this.#link?.retire();
    this.#link = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#link?.close();
    this.#http.close();
  }

  async #take<Result extends { readonly status: string }>(
    encode: () => Encoded[],
    read: ReadAnswer<Result>,
    post: () => Promise<readonly Result[]>,
  ): Promise<readonly (Result | Unavailable | Rejected)[]> {
    const opened = await this.#open();
    if (opened.kind === "open") {
      this.#goes("socket");
      return this.#send(encode(), read, opened.link);
    }
    if (opened.kind === "refused") {
      const { code, message } = opened;
      return encode().map(() => unavailable(message, code));
    }
    const results = await post();
    // A relay that is away has no socket, but then it takes no POST either.
    if (results.every(({ status }) => status === "unavailable")) return results;
    if (performance.now() >= this.#postUntil) this.#postFor(opened.message);
    return results;
  }

  async #open(): Promise<Opened> {
    if (this.#link?.usable) return { kind: "open", link: this.#link };
    this.#link = undefined;
    if (performance.now() < this.#postUntil) return { kind: "none", message: "" };
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<Opened> {
    const apiKey = this.#apiKey;
    const { timeoutMs = 10_000 } = this.#options;
    const opened = await PublishLink.open({ url: this.#url, apiKey, timeoutMs });
    if (opened.kind !== "open") return opened;
    if (this.#closed) opened.link.close();
    // The key may have been changed meanwhile; those who wait now may still use this link.
    else if (apiKey === this.#apiKey) this.#link = opened.link;
    else setImmediate(() => opened.link.retire());
    return opened;
  }

  #postFor(reason: string): void {
    this.#postUntil = performance.now() + (this.#options.postForMs ?? POST_FOR_MS);
    this.#broken = 0;
    this.#goes("post", reason);
  }

  #goes(way: PublishWay, reason?: string): void {
    if (way === this.#way) return;
    this.#way = way;
    this.#options.onWay?.(way, reason);
  }

  /** One result per item. */
  async #send<Result extends { readonly status: string }>(
    items: readonly Encoded[],
    read: ReadAnswer<Result>,
    link: PublishLink,
  ): Promise<readonly (Result | Unavailable | Rejected)[]> {
    const { limits } = link;
    const most = {
      batchMessages: Math.min(limits.batchMessages, FRAME_MESSAGES),
      batchBytes: Math.min(limits.batchBytes, FRAME_BYTES),
    };
    const results: (Result | Unavailable | Rejected)[] = [];
    let parts: readonly (readonly Encoded[])[] = cut(items, most);
    while (parts.length > 0) {
      const call: Call = { down: false };
      const answers = await Promise.all(parts.map((part) => sendPart(part, call, link)));
      this.#judge(answers, link);
      const again: (readonly Encoded[])[] = [];
      let down: Unavailable | undefined;
      // The relay has held back what came behind a part that it refused.
      let held = false;
      for (const [place, answer] of answers.entries()) {
        const part = parts[place] as readonly Encoded[];
        if (down) results.push(...part.map(() => down as Unavailable));
        else if (held) again.push(part);
        else if (answer.kind === "refused" && !isPassing(answer.code)) {
          held = !answer.unsent;
          if (part.length > 1) again.push(...halves(part));
          else results.push(rejected(answer.code, answer.message));
        } else {
          const taken = this.#resultsOf(answer, part, read);
          results.push(...taken);
          down = taken.find((each): each is Unavailable => each.status === "unavailable");
        }
      }
      parts = again;
    }
    return results;
  }

  #resultsOf<Result extends { readonly status: string }>(
    answer: PartAnswer,
    part: readonly Encoded[],
    read: ReadAnswer<Result>,
  ): readonly (Result | Unavailable)[] {
    const all = (result: Unavailable) => part.map(() => result);
    const where = `socket to ${this.#url.host}`;
    if (answer.kind === "refused") return all(unavailable(answer.message, answer.code));
    if (answer.kind !== "results") return all(unavailable(`${where}: ${answer.message}`));
    const results = readAnswers(answer.results, part, read);
    return results ?? all(unavailable(`${where}: the answer is not that of a relay`));
  }

  /** Sockets that break again and again, or swallow what is sent, are no way. */
  #judge(answers: readonly PartAnswer[], link: PublishLink): void {
    const lost = answers.find((answer) => answer.kind === "lost");
    if (!lost) {
      this.#broken = 0;
      return;
    }
    this.#broken++;
    if (link.answers === 0 || this.#broken >= MAX_BROKEN) this.#postFor(lost.message);
  }
}

function sendPart(part: readonly Encoded[], call: Call, link: PublishLink): Promise<PartAnswer> {
  const [first] = part;
  const bytes = LIST_BYTES + (first?.bytes ?? 0);
  if (part.length > 1 || bytes <= link.limits.batchBytes) return link.send(part, call);
  const message = `more than limits.batchBytes (${link.limits.batchBytes})`;
  return Promise.resolve({ kind: "refused", code: "batch_too_large", message, unsent: true });
}

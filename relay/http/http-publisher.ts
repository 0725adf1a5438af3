/** The publisher for a worker on another host: `POST /api/broadcast` with a trusted key. */
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { messageOf } from "../../common/errors.ts";
import type { ControlItem, ControlResult } from "../contract/control.ts";
import type { Message } from "../contract/message.ts";
import { IDS_HEADER } from "../contract/protocol.ts";
import { inOrder, type Publisher, type PublishResult } from "../contract/publisher.ts";
import {
  broadcastAnswer,
  broadcastAnswers,
  broadcastRefusal,
  controlAnswer,
} from "./broadcast-answer.ts";

/** Answers are short; more than this is not from a relay, bytes per message. */
const MAX_ANSWER_BYTES = 4096;

export interface HttpPublisherOptions {
  /** Base URL of the relay, such as `http://10.0.0.5:3000`. */
  readonly url: string;
  /** An API key that the relay's configuration marks as trusted. */
  readonly apiKey: string;
  /** Messages per POST; not above the relay's `limits.batchMessages`. Default 1000. */
  readonly batchMessages?: number;
  /** Bytes per POST; not above the relay's `limits.batchBytes`. Default 4 MiB. */
  readonly batchBytes?: number;
  /** How long one POST may take, ms. Default 10000. */
  readonly timeoutMs?: number;
}

const NO_KEY = "the worker's key must be one of the relay's apiKeys";

/**
 * Codes that say nothing about the message itself: it must be held and tried again. Those of the
 * key with what to do: somebody has to change the relay's configuration.
 */
const TRY_AGAIN: ReadonlyMap<string, string | undefined> = new Map([
  ["unavailable", undefined],
  ["internal_error", undefined],
  ["unauthorized", NO_KEY],
  ["too_many_refusals", NO_KEY],
  [
    "channel_forbidden",
    "the relay's key for this worker must grant the channel (apiKeys[].channels)",
  ],
  ["scope_missing", "the relay's key for this worker needs the scope (apiKeys[].scopes)"],
  ["key_not_trusted", "the relay's key for this worker must be marked trusted (apiKeys[].trusted)"],
]);
/** Answers to a body that a smaller one may escape. */
const TOO_LARGE = new Set(["batch_too_large"]);

interface Encoded {
  readonly id: string;
  readonly text: string;
  readonly bytes: number;
}

type Unavailable = Extract<PublishResult, { status: "unavailable" }>;
type Rejected = Extract<PublishResult, { status: "rejected" }>;

/** What became of an item; undefined when the answer is not that of a relay. */
type ReadAnswer<Result> = (answer: unknown, sentId: string) => Result | undefined;

function unavailable(message: string, code = "unavailable"): Unavailable {
  const fix = TRY_AGAIN.get(code);
  return {
    status: "unavailable",
    code,
    message: fix === undefined ? message : `${message}; ${fix}`,
  };
}

function all(part: readonly Encoded[], result: Unavailable): readonly Unavailable[] {
  return part.map(() => result);
}

/** The payload's text is put in as it is: no number loses a digit. */
function encode(message: Message): string {
  const { channel, eventName, payload, id, ts, retain } = message;
  const head = JSON.stringify({ channel, eventName, id, ts, retain });
  return `${head.slice(0, -1)},"payload":${payload}}`;
}

function encoded(id: string, text: string): Encoded {
  return { id, text, bytes: Buffer.byteLength(text) + 1 };
}

export class HttpPublisher implements Publisher {
  readonly #url: URL;
  #apiKey: string;
  readonly #batchMessages: number;
  readonly #batchBytes: number;
  readonly #timeoutMs: number;
  readonly #agent: HttpAgent;
  readonly #request: typeof httpRequest;

  /** @throws {TypeError} when the URL is none, or neither http nor https */
  constructor(options: HttpPublisherOptions) {
    this.#url = new URL(
      "api/broadcast",
      options.url.endsWith("/") ? options.url : `${options.url}/`,
    );
    const secure = this.#url.protocol === "https:";
    if (!secure && this.#url.protocol !== "http:") {
      throw new TypeError(
        `the relay's URL must begin with http: or https:, not ${this.#url.protocol}`,
      );
    }
    this.#apiKey = options.apiKey;
    this.#batchMessages = options.batchMessages ?? 1000;
    this.#batchBytes = options.batchBytes ?? 4 * 1024 * 1024;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    const agentOptions = { keepAlive: true, maxSockets: 4 };
    this.#agent = secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
    this.#request = secure ? httpsRequest : httpRequest;
  }

  /** The relay takes its key for the source of all that is posted with it. */
  async publish(batch: readonly Message[]): Promise<readonly PublishResult[]> {
    const items = batch.map((message) => encoded(message.id, encode(message)));
    return inOrder(this.#split(items), (part) => this.#post(part, readPublished));
  }

  async control(batch: readonly ControlItem[]): Promise<readonly ControlResult[]> {
    const items = batch.map((item) => encoded("", JSON.stringify(item)));
    return inOrder(this.#split(items), (part) => this.#post(part, readControlled));
  }

  /** Takes effect with the next POST. */
  useKey(apiKey: string): void {
    this.#apiKey = apiKey;
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  #split(items: readonly Encoded[]): Encoded[][] {
    const parts: Encoded[][] = [];
    let part: Encoded[] = [];
    let bytes = 2;
    for (const item of items) {
      if (
        part.length > 0 &&
        (part.length >= this.#batchMessages || bytes + item.bytes > this.#batchBytes)
      ) {
        parts.push(part);
        part = [];
        bytes = 2;
      }
      part.push(item);
      bytes += item.bytes;
    }
    if (part.length > 0) parts.push(part);
    return parts;
  }

  /** One result per item of `part`. */
  async #post<Result extends { readonly status: string }>(
    part: readonly Encoded[],
    read: ReadAnswer<Result>,
  ): Promise<readonly (Result | Unavailable | Rejected)[]> {
    let status: number;
    let text: string;
    try {
      const body = `[${part.map((item) => item.text).join(",")}]`;
      ({ status, text } = await this.#send(body, part.length));
    } catch (error) {
      return all(part, unavailable(`POST ${this.#url.origin}: ${messageOf(error)}`));
    }
    const answer = parseAnswer(status, text, part, read);
    if (answer.kind === "results") return answer.results;
    if (answer.kind === "unavailable") return all(part, answer.result);
    if (part.length === 1) {
      const code = TOO_LARGE.has(answer.code) ? "message_too_large" : answer.code;
      return [{ status: "rejected", code, message: answer.message }];
    }
    // Something in the body is refused as a whole: halves find out what.
    const middle = Math.ceil(part.length / 2);
    return inOrder([part.slice(0, middle), part.slice(middle)], (half) => this.#post(half, read));
  }

  #send(body: string, messages: number): Promise<{ status: number; text: string }> {
    const bytes = Buffer.from(body);
    const limit = AbortSignal.timeout(this.#timeoutMs);
    const options: RequestOptions = {
      method: "POST",
      agent: this.#agent,
      signal: limit,
      headers: {
        "content-type": "application/json",
        "content-length": bytes.length,
        "x-api-key": this.#apiKey,
        [IDS_HEADER]: "keep",
      },
    };
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) =>
        reject(limit.aborted ? new Error(`no answer within ${this.#timeoutMs} ms`) : error);
      const request = this.#request(this.#url, options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES * (messages + 1)) {
            response.destroy(new Error("the answer is too long for a relay"));
          } else chunks.push(chunk);
        });
        response.on("error", fail);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      });
      request.on("error", fail);
      request.end(bytes);
    });
  }
}

type ParsedAnswer<Result> =
  | { readonly kind: "results"; readonly results: readonly Result[] }
  | { readonly kind: "unavailable"; readonly result: Unavailable }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

function parseAnswer<Result>(
  status: number,
  text: string,
  part: readonly Encoded[],
  read: ReadAnswer<Result>,
): ParsedAnswer<Result> {
  const held = (message: string, code?: string): ParsedAnswer<Result> => ({
    kind: "unavailable",
    result: unavailable(message, code),
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A proxy's own limit. Smaller bodies may pass it; a single message is held, not set aside.
    if (status === 413 && part.length > 1)
      return { kind: "refused", code: "batch_too_large", message: text };
    return held(`status ${status}, and the answer is not JSON`);
  }
  if (status === 200) {
    const parsed = broadcastAnswers.safeParse(value);
    const answers = parsed.success ? parsed.data.results : [];
    const results = answers.flatMap((each, position) => {
      const result = read(each, part[position]?.id ?? "");
      return result === undefined ? [] : [result];
    });
    return results.length === part.length && answers.length === part.length
      ? { kind: "results", results }
      : held("the answer is not that of a relay");
  }
  const parsed = broadcastRefusal.safeParse(value);
  if (!parsed.success || status >= 500 || TRY_AGAIN.has(parsed.data.code)) {
    if (!parsed.success) return held(`status ${status}`);
    return held(`status ${status}: ${parsed.data.message}`, parsed.data.code);
  }
  return { kind: "refused", code: parsed.data.code, message: parsed.data.message };
}

function refusal(code: string, message: string): Unavailable | Rejected {
  return TRY_AGAIN.has(code) ? unavailable(message, code) : { status: "rejected", code, message };
}

function readPublished(answer: unknown, sentId: string): PublishResult | undefined {
  const parsed = broadcastAnswer.safeParse(answer);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  if (!data.ok) return refusal(data.code, data.message);
  // Only if something in between took the header away. Duplicates could not be removed.
  if (data.id !== sentId) return unavailable("the relay made an id of its own", "key_not_trusted");
  const { recipients, duplicate } = data;
  return { status: "accepted", recipients, ...(duplicate ? { duplicate } : {}) };
}

function readControlled(answer: unknown): ControlResult | undefined {
  const parsed = controlAnswer.safeParse(answer);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  if (!data.ok) return refusal(data.code, data.message);
  return data.durable === false ? { status: "accepted", durable: false } : { status: "accepted" };
}

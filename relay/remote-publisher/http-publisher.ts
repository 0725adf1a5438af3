/** The publisher for a worker on another host: `POST /api/broadcast` with a trusted key. */
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { messageOf } from "../../common/errors.ts";
import type { ControlItem, ControlResult } from "../contract/control.ts";
import type { Message } from "../contract/message.ts";
import { IDS_HEADER } from "../contract/protocol.ts";
import { inOrder, type Publisher, type PublishResult } from "../contract/publisher.ts";
import { broadcastAnswers, broadcastRefusal } from "../http/broadcast-answer.ts";
import {
  cut,
  type Encoded,
  encodeControl,
  encodeMessages,
  halves,
  isPassing,
  listOf,
  type ReadAnswer,
  type Rejected,
  readAnswers,
  readControlled,
  readPublished,
  rejected,
  type Unavailable,
  unavailable,
} from "./parts.ts";

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

function all(part: readonly Encoded[], result: Unavailable): readonly Unavailable[] {
  return part.map(() => result);
}

export class HttpPublisher implements Publisher {
  readonly #url: URL;
  #apiKey: string;
  /** Of a part. */
  readonly #most: { readonly batchMessages: number; readonly batchBytes: number };
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
    const { batchMessages = 1000, batchBytes = 4 * 1024 * 1024 } = options;
    this.#most = { batchMessages, batchBytes };
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    const agentOptions = { keepAlive: true, maxSockets: 4 };
    this.#agent = secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
    this.#request = secure ? httpsRequest : httpRequest;
  }

  /** The relay takes its key for the source of all that is posted with it. */
  publish(batch: readonly Message[]): Promise<readonly PublishResult[]> {
    const parts = cut(encodeMessages(batch), this.#most);
    return inOrder(parts, (part) => this.#post(part, readPublished));
  }

  control(batch: readonly ControlItem[]): Promise<readonly ControlResult[]> {
    const parts = cut(encodeControl(batch), this.#most);
    return inOrder(parts, (part) => this.#post(part, readControlled));
  }

  /** Takes effect with the next POST. */
  useKey(apiKey: string): void {
    this.#apiKey = apiKey;
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** One result per item of `part`. */
  async #post<Result extends { readonly status: string }>(
    part: readonly Encoded[],
    read: ReadAnswer<Result>,
  ): Promise<readonly (Result | Unavailable | Rejected)[]> {
    let status: number;
    let text: string;
    try {
      ({ status, text } = await this.#send(listOf(part), part.length));
    } catch (error) {
      return all(part, unavailable(`POST ${this.#url.origin}: ${messageOf(error)}`));
    }
    const answer = parseAnswer(status, text, part, read);
    if (answer.kind === "results") return answer.results;
    if (answer.kind === "unavailable") return all(part, answer.result);
    if (part.length === 1) return [rejected(answer.code, answer.message)];
    return inOrder(halves(part), (half) => this.#post(half, read));
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
    const results = readAnswers(answers, part, read);
    return results ? { kind: "results", results } : held("the answer is not that of a relay");
  }
  const parsed = broadcastRefusal.safeParse(value);
  if (!parsed.success || status >= 500 || isPassing(parsed.data.code)) {
    if (!parsed.success) return held(`status ${status}`);
    return held(`status ${status}: ${parsed.data.message}`, parsed.data.code);
  }
  return { kind: "refused", code: parsed.data.code, message: parsed.data.message };
}

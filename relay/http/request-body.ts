/** Bodies of requests, and why a request is refused as a whole. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Code } from "../contract/protocol.ts";

/** How long the rest of a refused body is read, ms. */
const DISCARD_MS = 1000;
/** In how many pieces at most; each costs the same, and a piece can be a single byte. */
const DISCARD_PIECES = 8192;

/** A request that is refused as a whole. */
export class Refusal extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }

  /** Whether it is the request that is wrong, and not the relay that cannot. */
  get counts(): boolean {
    return this.code !== "unavailable" && this.code !== "rate_limited";
  }
}

/**
 * The body as text.
 * @param tooLarge the code for a body of more than `limit` bytes
 * @throws {Refusal}
 */
export function readText(request: IncomingMessage, limit: number, tooLarge: Code): Promise<string> {
  return new Promise((resolve, reject) => {
    const refusal = () => new Refusal(tooLarge, `the body has more than ${limit} bytes; split it`);
    if (Number(request.headers["content-length"]) > limit) {
      reject(refusal());
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limit) chunks.push(chunk);
      else {
        chunks.length = 0;
        reject(refusal());
      }
    });
    request.on("end", () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (isUtf8(body)) resolve(body.toString());
      else reject(new Refusal("bad_json", "the body is not UTF-8"));
    });
    // After `end` they change nothing any more.
    const cutOff = () => reject(new Refusal("bad_json", "the request was cut off"));
    request.on("error", cutOff).on("close", cutOff);
  });
}

/**
 * Reads on for a moment after a refusal. A socket closed with unread data is reset, and the client
 * would lose the answer.
 */
export function discard(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      request.off("data", count).pause();
      resolve();
    };
    const timer = setTimeout(finish, DISCARD_MS);
    let pieces = 0;
    const count = () => {
      if (++pieces === DISCARD_PIECES) finish();
    };
    request.once("close", finish).once("end", finish).on("data", count).resume();
  });
}

/**
 * Who may use the console. A request of this host needs nothing; any other one needs the token of
 * `service.console.tokenFile`, as `Authorization: Bearer` or, in a browser, once for a cookie. Where
 * there is a token, acting needs it from this host too: every account of a host reaches its loopback.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import { isLoopback } from "../../relay/clients/address-rates.ts";
import type { Access } from "./contract.ts";

const COOKIE = "rtm_console";
/** How long a sign-in is good for, ms. */
const SIGN_IN_MS = 8 * 3_600_000;
/** Sign-ins that are remembered; the oldest go first. */
const MOST_SIGN_INS = 50;
/** Wrong tokens in a minute, from wherever, before further ones are told to wait. */
const WRONG_PER_MINUTE = 20;
export const MIN_TOKEN_BYTES = 32;
/** What a proxy adds: the request is not of this host although its connection is. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/** @throws {ConfigError} the file cannot be read, or holds no good token */
export function readConsoleToken(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const refuse = (problem: string) =>
    new ConfigError([`service.console.tokenFile: ${file} ${problem}`]);
  let token: string;
  try {
    token = readSecretFile(file);
  } catch (error) {
    throw new ConfigError([`service.console.tokenFile: ${messageOf(error)}`], { cause: error });
  }
  if (Buffer.byteLength(token) < MIN_TOKEN_BYTES) {
    throw refuse(`must hold at least ${MIN_TOKEN_BYTES} bytes: openssl rand -base64 32 makes some`);
  }
  if (!/^[!-~]+$/.test(token)) throw refuse("must be printable ASCII without blanks");
  return token;
}

/** Whether it comes from this host itself, and not through a proxy on it. */
export function isLocal({ socket, headers }: IncomingMessage): boolean {
  return isLoopback(socket.remoteAddress) && FORWARDED.every((name) => headers[name] === undefined);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function cookieOf({ headers }: IncomingMessage): string | undefined {
  const pair = headers.cookie?.split(/; */).find((each) => each.startsWith(`${COOKIE}=`));
  return pair?.slice(COOKIE.length + 1);
}

/** What became of a sign-in. */
export type SignIn =
  | { readonly outcome: "accepted"; readonly cookie: string }
  | { readonly outcome: "wrong" | "too_many" | "no_token" };

export class ConsoleAccess {
  #token: Buffer | undefined;
  /** Digests of the cookies' values, with the end of each, ms of the monotonic clock. */
  readonly #signIns = new Map<string, number>();
  #wrong = 0;
  #wrongSince = Number.NEGATIVE_INFINITY;

  constructor(token: string | undefined) {
    this.use(token);
  }

  get tokenConfigured(): boolean {
    return this.#token !== undefined;
  }

  /** Another token ends all sign-ins. */
  use(token: string | undefined): void {
    const next = token === undefined ? undefined : digest(token);
    if (next && this.#token && timingSafeEqual(next, this.#token)) return;
    this.#token = next;
    this.#signIns.clear();
  }

  of(request: IncomingMessage): Access {
    if (this.#isSignedIn(request)) return "full";
    if (!isLocal(request)) return "none";
    return this.tokenConfigured ? "read" : "full";
  }

  #isSignedIn(request: IncomingMessage): boolean {
    const presented = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (presented !== undefined) return this.#verify(presented) === "accepted";
    const cookie = cookieOf(request);
    if (cookie === undefined) return false;
    return (this.#signIns.get(key(cookie)) ?? 0) > performance.now();
  }

  #verify(presented: string): "accepted" | "wrong" | "too_many" | "no_token" {
    if (!this.#token) return "no_token";
    // Looked at first: others' wrong tokens must not lock out who has the right one, and 32 bytes are not guessed.
    if (timingSafeEqual(digest(presented), this.#token)) return "accepted";
    const now = performance.now();
    if (now - this.#wrongSince > 60_000) {
      this.#wrongSince = now;
      this.#wrong = 0;
    }
    if (this.#wrong >= WRONG_PER_MINUTE) return "too_many";
    this.#wrong++;
    return "wrong";
  }

  /** @param secure whether the browser speaks TLS, with a proxy */
  signIn(presented: string, secure: boolean): SignIn {
    const outcome = this.#verify(presented);
    if (outcome !== "accepted") return { outcome };
    const value = randomBytes(32).toString("base64url");
    this.#signIns.set(key(value), performance.now() + SIGN_IN_MS);
    const oldest = this.#signIns.keys().next().value;
    if (this.#signIns.size > MOST_SIGN_INS && oldest !== undefined) this.#signIns.delete(oldest);
    return { outcome, cookie: cookieHeader(value, SIGN_IN_MS / 1000, secure) };
  }

  /** @returns the header that takes the cookie away */
  signOut(request: IncomingMessage): string {
    const cookie = cookieOf(request);
    if (cookie !== undefined) this.#signIns.delete(key(cookie));
    return cookieHeader("", 0, false);
  }
}

function key(cookie: string): string {
  return digest(cookie).toString("base64");
}

function cookieHeader(value: string, maxAgeS: number, secure: boolean): string {
  const flags = `Path=/console; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict`;
  return `${COOKIE}=${value}; ${flags}${secure ? "; Secure" : ""}`;
}

/**
 * What the claims of a token say (docs/protocol.md, Tokens). Nothing is verified here; a claim of the
 * wrong type is refused, whether or not anything depends on it.
 */
import { RtmError } from "../../common/errors.ts";
import { nameProblem } from "../contract/message.ts";
import { type ChannelPattern, patternProblem } from "../contract/patterns.ts";
import type { JsonObject } from "./jwt.ts";

/** What a verified token grants, and by what it can be revoked. */
export interface Grant {
  readonly subject: string;
  /** Channels that may be read. */
  readonly channels: readonly ChannelPattern[];
  /** Channels to which client events may be sent, where a token also grants reading. */
  readonly publish: readonly ChannelPattern[];
  readonly presence: PresenceClaim;
  /** When it was issued, ms since 1970 by the issuer's clock; undefined when it does not say so. */
  readonly issuedAt: number | undefined;
  /** When its rights end, ms since 1970 by this process's clock. */
  readonly endsAt: number;
  /** `jti`: names this token. */
  readonly id: string | undefined;
  /** `sid`: names the session in which it was issued. */
  readonly sid: string | undefined;
  /**
   * The channel of the one person that the token stands for. A token without it may stand for many,
   * such as all visitors who have not logged in.
   */
  readonly self: string | undefined;
}

/** Where, and as whom, the subject is seen. Patterns count where a token also grants reading. */
export interface PresenceClaim {
  /** Channels in which it is seen. */
  readonly join: readonly ChannelPattern[];
  /** Channels in which it sees others. */
  readonly watch: readonly ChannelPattern[];
  /** What others see of it: JSON text of an object; undefined when there is nothing. */
  readonly info: string | undefined;
}

export type TokenRefusal = "token_expired" | "token_invalid" | "token_limit" | "token_revoked";

/** A token that grants nothing. `reason` is one of docs/protocol.md, "Codes". */
export class TokenError extends RtmError {
  readonly reason: TokenRefusal;

  constructor(reason: TokenRefusal, message: string, cause?: unknown) {
    super("RTM_TOKEN_REFUSED", message, { cause });
    this.reason = reason;
  }
}

/** Longest `sub`, `jti` and `sid`, UTF-16 units. */
export const MAX_ID_LENGTH = 256;
/** Longest JSON text of `presence.info`, bytes. */
export const MAX_INFO_BYTES = 512;
/** ECMA-262 section 21.4.1.1: no later time can be written, s. */
const MAX_TIME = 8_640_000_000_000;

const NO_PATTERNS: readonly ChannelPattern[] = [];
const NO_PRESENCE: PresenceClaim = { join: NO_PATTERNS, watch: NO_PATTERNS, info: undefined };

/** The error of a token that says something it cannot. */
export function invalid(message: string, cause?: unknown): TokenError {
  return new TokenError("token_invalid", message, cause);
}

/** A claim that names a time, ms since 1970; undefined when it is absent. @throws {TokenError} */
export function timeOf(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || Math.abs(value) > MAX_TIME) {
    throw invalid(`the token's claim ${name} must be a number of seconds since 1970`);
  }
  return value * 1000;
}

function idOf(claims: JsonObject, name: string): string | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "" || value.length > MAX_ID_LENGTH) {
    throw invalid(`the token's claim ${name} must be a string of 1-${MAX_ID_LENGTH} characters`);
  }
  return value;
}

function patternsOf(value: unknown, name: string, max: number): readonly ChannelPattern[] {
  if (!Array.isArray(value)) throw invalid(`the token's claim ${name} must be a list`);
  if (value.length > max) {
    const message = `the token's claim ${name} has ${value.length} entries; limits.tokenChannels is ${max}`;
    throw new TokenError("token_limit", message);
  }
  for (const pattern of value) {
    const problem = patternProblem(pattern);
    if (problem) throw invalid(`an entry of the token's claim ${name} ${problem}`);
  }
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function presenceOf({ presence }: JsonObject, max: number): PresenceClaim {
  if (presence === undefined) return NO_PRESENCE;
  if (!isObject(presence)) throw invalid("the token's claim presence must be an object");
  const { join, watch, info } = presence;
  if (info !== undefined && !isObject(info)) {
    throw invalid("the token's claim presence.info must be an object");
  }
  const text = info && JSON.stringify(info);
  if (text !== undefined && Buffer.byteLength(text) > MAX_INFO_BYTES) {
    throw invalid(`the token's claim presence.info has more than ${MAX_INFO_BYTES} bytes`);
  }
  return {
    join: join === undefined ? NO_PATTERNS : patternsOf(join, "presence.join", max),
    watch: watch === undefined ? NO_PATTERNS : patternsOf(watch, "presence.watch", max),
    info: text,
  };
}

function selfOf({ self }: JsonObject): string | undefined {
  if (self === undefined) return undefined;
  const problem = nameProblem(self);
  if (problem) throw invalid(`the token's claim self ${problem}`);
  return self as string;
}

/**
 * All claims but those that bound its life.
 * @param maxPatterns entries of each list of channels
 * @throws {TokenError}
 */
export function readClaims(
  claims: JsonObject,
  maxPatterns: number,
): Omit<Grant, "endsAt" | "issuedAt"> {
  const subject = idOf(claims, "sub");
  if (subject === undefined) throw invalid("the token has no claim sub");
  const { channels, publish } = claims;
  return {
    subject,
    channels: patternsOf(channels, "channels", maxPatterns),
    publish: publish === undefined ? NO_PATTERNS : patternsOf(publish, "publish", maxPatterns),
    presence: presenceOf(claims, maxPatterns),
    id: idOf(claims, "jti"),
    sid: idOf(claims, "sid"),
    self: selfOf(claims),
  };
}

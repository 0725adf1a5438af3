/** Tokens: JWT signed with HS256, what `APEX_JWT.encode` can mint (docs/protocol.md, Tokens). */
import { webcrypto } from "node:crypto";
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import { messageOf, RtmError } from "../../common/errors.ts";
import { type ChannelPattern, patternProblem } from "../contract/patterns.ts";

/** What a verified token grants. */
export interface Grant {
  readonly subject: string;
  readonly channels: readonly ChannelPattern[];
  /** When its rights end, ms since 1970 by this process's clock. */
  readonly endsAt: number;
}

/** A token that grants nothing. `code` is one of docs/protocol.md, "Codes". */
export class TokenError extends RtmError {
  readonly reason: "token_expired" | "token_invalid";

  constructor(reason: "token_expired" | "token_invalid", message: string, cause?: unknown) {
    super("RTM_TOKEN_REFUSED", message, { cause });
    this.reason = reason;
  }
}

function invalid(message: string, cause?: unknown): TokenError {
  return new TokenError("token_invalid", message, cause);
}

const importedKeys = new WeakMap<Uint8Array, Promise<webcrypto.CryptoKey>>();

/** Importing a secret costs as much as verifying with it, so each is imported once. */
function importKey(secret: Uint8Array): Promise<webcrypto.CryptoKey> {
  let key = importedKeys.get(secret);
  if (!key) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    key = webcrypto.subtle.importKey("raw", secret, algorithm, false, ["verify"]);
    importedKeys.set(secret, key);
  }
  return key;
}

function chooseSecret(secrets: ReadonlyMap<string, Uint8Array>, kid: unknown): Uint8Array {
  if (kid === undefined) {
    if (secrets.size === 1) return [...secrets.values()][0] as Uint8Array;
    throw invalid("the token's header has no kid, and there is more than one secret");
  }
  const secret = typeof kid === "string" ? secrets.get(kid) : undefined;
  if (!secret) throw invalid("the token's kid is none of the configured secrets");
  return secret;
}

function channelsOf(claims: JWTPayload): readonly ChannelPattern[] {
  const { channels } = claims;
  if (!Array.isArray(channels)) throw invalid("the token's claim channels must be a list");
  for (const pattern of channels) {
    const problem = patternProblem(pattern);
    if (problem) throw invalid(`an entry of the token's claim channels ${problem}`);
  }
  return channels;
}

/**
 * Verifies signature, times and claims.
 * A token that is past its `exp` but inside the tolerance is taken, and ends with the tolerance.
 * @param clockToleranceMs how far the clocks of issuer and relay may differ
 * @throws {TokenError}
 */
export async function verifyToken(
  token: string,
  secrets: ReadonlyMap<string, Uint8Array>,
  clockToleranceMs: number,
  now = Date.now(),
): Promise<Grant> {
  let claims: JWTPayload;
  try {
    const verified = await jwtVerify(
      token,
      (header) => importKey(chooseSecret(secrets, header.kid)),
      {
        algorithms: ["HS256"],
        clockTolerance: Math.ceil(clockToleranceMs / 1000),
        currentDate: new Date(now),
        requiredClaims: ["sub", "exp"],
      },
    );
    claims = verified.payload;
  } catch (error) {
    if (error instanceof TokenError) throw error;
    if (error instanceof errors.JWTExpired) {
      throw new TokenError("token_expired", "the token has expired", error);
    }
    throw invalid(`the token is not valid: ${messageOf(error)}`, error);
  }
  const { sub, exp } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > 256) {
    throw invalid("the token's claim sub must be a string of 1-256 characters");
  }
  const expiresAt = (exp as number) * 1000;
  return {
    subject: sub,
    channels: channelsOf(claims),
    endsAt: expiresAt > now ? expiresAt : expiresAt + clockToleranceMs,
  };
}

export interface MintOptions {
  readonly subject: string;
  readonly channels: readonly ChannelPattern[];
  readonly lifetimeMs: number;
  /** The secret that signs; its `kid` goes into the header. */
  readonly kid: string;
  readonly secret: Uint8Array;
}

/** Makes a token. @throws {RtmError} RTM_TOKEN_CLAIMS when the claims break the rules */
export async function mintToken(options: MintOptions, now = Date.now()): Promise<string> {
  const { subject, channels, lifetimeMs, kid, secret } = options;
  const refuse = (message: string) => new RtmError("RTM_TOKEN_CLAIMS", message);
  if (subject === "" || subject.length > 256) throw refuse("sub must have 1-256 characters");
  for (const pattern of channels) {
    const problem = patternProblem(pattern);
    if (problem) throw refuse(`channel ${JSON.stringify(pattern)} ${problem}`);
  }
  const seconds = Math.floor(now / 1000);
  return await new SignJWT({ channels: [...channels] })
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid })
    .setSubject(subject)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + Math.ceil(lifetimeMs / 1000))
    .sign(secret);
}

export interface TokenExplanation {
  readonly header: object;
  readonly claims: object;
  readonly valid: boolean;
  /** Why it is not valid. */
  readonly problem?: string;
  readonly grants?: Grant;
}

/** Says what is in a token and whether a relay with these secrets would take it now. */
export async function explainToken(
  token: string,
  secrets: ReadonlyMap<string, Uint8Array>,
  clockToleranceMs: number,
  now = Date.now(),
): Promise<TokenExplanation> {
  let header: object;
  let claims: object;
  try {
    header = decodeProtectedHeader(token);
    claims = decodeJwt(token);
  } catch (error) {
    return { header: {}, claims: {}, valid: false, problem: `not a JWT: ${messageOf(error)}` };
  }
  try {
    const grants = await verifyToken(token, secrets, clockToleranceMs, now);
    return { header, claims, valid: true, grants };
  } catch (error) {
    return { header, claims, valid: false, problem: messageOf(error) };
  }
}

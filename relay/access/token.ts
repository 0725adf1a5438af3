/** Tokens: JWT signed with HS256, what `APEX_JWT.encode` can mint (docs/protocol.md, Tokens). */
import { messageOf, RtmError } from "../../common/errors.ts";
import { formatDuration } from "../../common/units.ts";
import { type ChannelPattern, patternProblem } from "../contract/patterns.ts";
import { type Grant, invalid, MAX_ID_LENGTH, readClaims, TokenError, timeOf } from "./claims.ts";
import { isSignedBy, type Jwt, parseJwt, signJwt } from "./jwt.ts";

/** What a relay takes. */
export interface TokenRules {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** How far the clocks of issuer and relay may differ, ms. */
  readonly clockTolerance: number;
  /** Entries of the claim `channels`, and of each other list of channels. */
  readonly maxChannels: number;
  /** The longest time from its issue to its end, ms. */
  readonly maxLifetime: number;
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

/**
 * Verifies signature, times and claims, in this order.
 * A token that is past its `exp` but inside the tolerance is taken, and ends with the tolerance.
 * @throws {TokenError}
 */
export function verifyToken(token: string, rules: TokenRules, now = Date.now()): Grant {
  const { secrets, clockTolerance, maxChannels, maxLifetime } = rules;
  let jwt: Jwt;
  let signed: boolean;
  try {
    jwt = parseJwt(token);
    signed = isSignedBy(jwt, chooseSecret(secrets, jwt.header.kid));
  } catch (error) {
    if (error instanceof TokenError) throw error;
    throw invalid(`the token is not valid: ${messageOf(error)}`, error);
  }
  if (!signed) throw invalid("the token is not valid: its signature is wrong");
  const { claims } = jwt;
  const expiresAt = timeOf(claims, "exp");
  if (expiresAt === undefined) throw invalid("the token has no claim exp");
  const issuedAt = timeOf(claims, "iat");
  if ((timeOf(claims, "nbf") ?? now) > now + clockTolerance) {
    throw invalid("the token is not valid yet: see its claim nbf");
  }
  if (expiresAt + clockTolerance <= now) {
    throw new TokenError("token_expired", "the token has expired");
  }
  // A time of issue that is yet to come bounds nothing.
  const begins = Math.min(issuedAt ?? Number.POSITIVE_INFINITY, now + clockTolerance);
  if (expiresAt - begins > maxLifetime) {
    throw invalid(
      `the token lives longer than tokens.maxLifetime, which is ${formatDuration(maxLifetime)}`,
    );
  }
  return {
    ...readClaims(claims, maxChannels),
    issuedAt,
    endsAt: expiresAt > now ? expiresAt : expiresAt + clockTolerance,
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
export function mintToken(options: MintOptions, now = Date.now()): string {
  const { subject, channels, lifetimeMs, kid, secret } = options;
  const refuse = (message: string) => new RtmError("RTM_TOKEN_CLAIMS", message);
  if (subject === "" || subject.length > MAX_ID_LENGTH) {
    throw refuse(`sub must have 1-${MAX_ID_LENGTH} characters`);
  }
  for (const pattern of channels) {
    const problem = patternProblem(pattern);
    if (problem) throw refuse(`channel ${JSON.stringify(pattern)} ${problem}`);
  }
  const iat = Math.floor(now / 1000);
  const exp = iat + Math.ceil(lifetimeMs / 1000);
  return signJwt({ kid }, { channels, sub: subject, iat, exp }, secret);
}

export interface TokenExplanation {
  readonly header: object;
  readonly claims: object;
  readonly valid: boolean;
  /** Why it is not valid. */
  readonly problem?: string;
  readonly grants?: Grant;
}

/** Says what is in a token and whether a relay with these rules would take it now. */
export function explainToken(token: string, rules: TokenRules, now = Date.now()): TokenExplanation {
  let jwt: Jwt;
  try {
    jwt = parseJwt(token);
  } catch (error) {
    return { header: {}, claims: {}, valid: false, problem: `not a JWT: ${messageOf(error)}` };
  }
  const { header, claims } = jwt;
  try {
    return { header, claims, valid: true, grants: verifyToken(token, rules, now) };
  } catch (error) {
    return { header, claims, valid: false, problem: messageOf(error) };
  }
}

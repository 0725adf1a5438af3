/**
 * The one kind of JWT that the relay takes: JWS compact serialization (RFC 7515 section 7.1) signed
 * with HS256 (RFC 7518 section 3.2), claims in a JSON object (RFC 7519). Synchronous, because a
 * check in a thread pool costs ten times the hash. Stricter than the RFCs where they leave a choice:
 * no padding, canonical base64url, no `crit`, valid UTF-8.
 */
import { isUtf8 } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Jwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** What the signature signs. */
  readonly signed: string;
  readonly signature: string;
}

const PART = /^[A-Za-z0-9_-]+$/;

function readObject(part: string, what: string): JsonObject {
  const bytes = Buffer.from(part, "base64url");
  let value: unknown;
  try {
    if (isUtf8(bytes)) value = JSON.parse(bytes.toString());
  } catch {
    // Said below.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`its ${what} is not a JSON object`);
  }
  return value as JsonObject;
}

/**
 * Takes a token apart; nothing is verified.
 * @throws {Error} why it is no JWT
 */
export function parseJwt(token: string): Jwt {
  const parts = token.split(".", 4);
  const [header, claims, signature] = parts as [string, string, string];
  if (parts.length !== 3 || !parts.every((part) => PART.test(part))) {
    throw new Error("it does not consist of three parts in base64url");
  }
  return {
    header: readObject(header, "header"),
    claims: readObject(claims, "set of claims"),
    signed: token.slice(0, header.length + 1 + claims.length),
    signature,
  };
}

function sign(text: string, secret: Uint8Array): string {
  return createHmac("sha256", secret).update(text).digest("base64url");
}

/**
 * Whether `secret` signed it with HS256.
 * @throws {Error} the header asks for something else
 */
export function isSignedBy({ header, signed, signature }: Jwt, secret: Uint8Array): boolean {
  if (header.alg !== "HS256") throw new Error("its alg is not HS256");
  // RFC 7515 section 4.1.11: who does not understand an extension must refuse.
  if (header.crit !== undefined) throw new Error("its header has crit");
  const expected = Buffer.from(sign(signed, secret));
  const actual = Buffer.from(signature);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** Makes a token; `alg` and `typ` are added to the header. */
export function signJwt(header: JsonObject, claims: JsonObject, secret: Uint8Array): string {
  const encode = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT", ...header })}.${encode(claims)}`;
  return `${signed}.${sign(signed, secret)}`;
}

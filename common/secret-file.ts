/**
 * The only reader of secrets from files. A secret is one line of UTF-8 text. A byte order mark at the
 * start and line breaks at the end do not count: editors add them. What else could make it silently
 * another secret is an error.
 */
import { RtmError } from "./errors.ts";
import { readRegularFile, whyUnreadable } from "./regular-file.ts";

/** No secret is as long as that. */
const MAX_BYTES = 64 * 1024;

/** A file with a secret cannot be read, or holds no secret; the message names the file and the fix. */
export class SecretFileError extends RtmError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("RTM_SECRET_FILE", message, options);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
/** Controls, and what nobody sees in an editor: joiners, marks of direction, byte order marks. */
const INVISIBLE = /[\p{Cc}\p{Cf}]/u;

/** @throws {SecretFileError} */
export function readSecretFile(path: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFile(path, MAX_BYTES);
  } catch (error) {
    throw new SecretFileError(`${path} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  }
  return secretOf(bytes, path);
}

/** The secret in bytes that came from `source`. @throws {SecretFileError} */
export function secretOf(bytes: Uint8Array, source: string): string {
  const refuse = (problem: string) => new SecretFileError(`${source} ${problem}`);
  const [first, second] = bytes;
  const marked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (marked || (bytes.includes(0) && bytes.length > 1)) {
    throw refuse("is UTF-16 or binary: save it as UTF-8 text");
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw refuse("is not UTF-8: save it as UTF-8 text");
  }
  const secret = text.replace(/[\r\n]+$/, "");
  if (secret === "") throw refuse("is empty: write the secret into it");
  if (secret !== secret.trim()) {
    throw refuse("begins or ends with a blank, which is no part of a secret: remove it");
  }
  if (/[\r\n]/.test(secret)) throw refuse("holds more than one line: leave only the secret");
  if (INVISIBLE.test(secret)) {
    throw refuse("holds a control character or an invisible one: write the secret anew");
  }
  return secret;
}

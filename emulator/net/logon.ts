/** Password logon with the 12c verifier, as far as the client checks it. */
import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync, randomBytes } from "node:crypto";
import { OraError } from "../errors.ts";
import { type Reader, Writer } from "./codec.ts";
import type { Profile } from "./profiles.ts";

const VERIFIER_12C = 0x4815;
const IV = Buffer.alloc(16);

/** The key derivation is a formality on loopback: one round keeps a connect at a few milliseconds. */
const ITERATIONS = 1;

export interface LogonRequest {
  user: string;
  pairs: Map<string, string>;
}

/** The body of both logon functions, after the function header. */
export function readLogon(reader: Reader): LogonRequest {
  const hasUser = reader.u8();
  reader.int();
  reader.int();
  reader.u8();
  const count = reader.int();
  reader.skip(2);
  const user = hasUser ? reader.text() : "";
  const pairs = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const key = reader.sizedText();
    pairs.set(key, reader.sizedText());
    reader.int();
  }
  return { user: user.startsWith('"') ? user.replaceAll('"', "") : user.toUpperCase(), pairs };
}

/** One logon in progress: phase one sends the challenge, phase two checks the answer. */
export class Logon {
  readonly user: string;
  readonly #password: string | undefined;
  readonly #salt = randomBytes(16);
  readonly #mixingSalt = randomBytes(16);
  readonly #serverKey = randomBytes(32);

  /** @param password undefined for an unknown user: the logon then fails like a wrong password. */
  constructor(user: string, password: string | undefined) {
    this.user = user;
    this.#password = password;
  }

  /** Session key and salts, as the answer to phase one. */
  challenge(): Buffer {
    return pairs([
      ["AUTH_SESSKEY", hex(aes("encrypt", this.#passwordKey(), this.#serverKey)), 0],
      ["AUTH_VFR_DATA", hex(this.#salt), VERIFIER_12C],
      ["AUTH_PBKDF2_CSK_SALT", hex(this.#mixingSalt), 0],
      ["AUTH_PBKDF2_VGEN_COUNT", String(ITERATIONS), 0],
      ["AUTH_PBKDF2_SDER_COUNT", String(ITERATIONS), 0],
    ]);
  }

  /** Checks phase two and returns its answer. @throws OraError 1017 */
  verify(request: LogonRequest, profile: Profile, serviceName: string): Buffer {
    const sessionKey = Buffer.from(request.pairs.get("AUTH_SESSKEY") ?? "", "hex");
    const encrypted = Buffer.from(request.pairs.get("AUTH_PASSWORD") ?? "", "hex");
    const denied = new OraError(1017, "invalid credential or not authorized; logon denied");
    if (sessionKey.length < 32 || encrypted.length < 32 || encrypted.length % 16 !== 0)
      throw denied;
    const clientKey = aes("decrypt", this.#passwordKey(), sessionKey.subarray(0, 32));
    const combined = pbkdf2Sync(
      hex(Buffer.concat([clientKey, this.#serverKey])),
      this.#mixingSalt,
      ITERATIONS,
      32,
      "sha512",
    );
    const padded = aes("decrypt", combined, encrypted);
    const password = padded.subarray(16, padded.length - padded[padded.length - 1]!).toString();
    if (this.#password === undefined || password !== this.#password) throw denied;
    const proof = Buffer.concat([randomBytes(16), Buffer.from("SERVER_TO_CLIENT")]);
    return pairs([
      ["AUTH_SVR_RESPONSE", hex(aes("encrypt", combined, proof)), 0],
      ["AUTH_VERSION_NO", String(profile.versionNumber), 0],
      ["AUTH_SC_DBUNIQUE_NAME", "EMULATOR", 0],
      ["AUTH_SC_REAL_DBUNIQUE_NAME", "EMULATOR", 0],
      ["AUTH_SC_SERVICE_NAME", serviceName, 0],
      ["AUTH_INSTANCENAME", "emulator", 0],
      ["AUTH_DBNAME", serviceName, 0],
      ["AUTH_MAX_IDEN_LENGTH", "128", 0],
      ["AUTH_MAX_OPEN_CURSORS", "300", 0],
    ]);
  }

  #passwordKey(): Buffer {
    // An unknown user gets a challenge too, so that a client cannot tell.
    const password = this.#password ?? "";
    const speedy = pbkdf2Sync(
      password,
      Buffer.concat([this.#salt, Buffer.from("AUTH_PBKDF2_SPEEDY_KEY")]),
      ITERATIONS,
      64,
      "sha512",
    );
    return createHash("sha512").update(speedy).update(this.#salt).digest().subarray(0, 32);
  }
}

function aes(direction: "encrypt" | "decrypt", key: Buffer, data: Buffer): Buffer {
  const cipher =
    direction === "encrypt"
      ? createCipheriv("aes-256-cbc", key, IV)
      : createDecipheriv("aes-256-cbc", key, IV);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

function hex(bytes: Buffer): string {
  return bytes.toString("hex").toUpperCase();
}

function pairs(entries: readonly (readonly [key: string, value: string, flags: number])[]): Buffer {
  const writer = new Writer().u8(8).int(entries.length);
  for (const [key, value, flags] of entries) {
    writer.sizedText(key).sizedText(value).int(flags);
  }
  return writer.finish();
}

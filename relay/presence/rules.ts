/** Where users can be seen, and under which id. */
import { createHmac } from "node:crypto";
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import {
  MIN_HASH_SECRET_BYTES,
  type PresenceConfig,
  type PresenceRule,
} from "../config/presence.ts";
import { matchesPattern } from "../contract/patterns.ts";

/** Bytes of the hash that stands for a user. */
const HASH_BYTES = 16;

export class PresenceRules {
  readonly #rules: readonly PresenceRule[];
  readonly #secret: string | undefined;

  /** @throws {ConfigError} the secret cannot be read */
  constructor(config: PresenceConfig) {
    this.#rules = config.rules;
    this.#secret = config.hashSecret ?? readSecret(config.hashSecretFile);
  }

  /** Undefined where nobody is seen. */
  of(channel: string): PresenceRule | undefined {
    return this.#rules.find(({ channels }) => matchesPattern(channels, channel));
  }

  /** Under which id `subject` is seen: a hash tells neither who it is nor where else it is seen. */
  idOf(rule: PresenceRule, channel: string, subject: string): string {
    // A log elsewhere is UTF-8, which has no lone surrogates.
    const user = Buffer.from(subject).toString();
    if (!rule.hashUsers) return user;
    return this.#hash(`${channel}\0${user}`).toString("base64url");
  }

  /** The same of a connection: its own id would tell in which other channels the user is seen. */
  connOf(rule: PresenceRule, channel: string, conn: string): string {
    if (!rule.hashUsers) return conn;
    return this.#hash(`${channel}\0\0${conn}`)
      .subarray(0, conn.length / 2)
      .toString("hex");
  }

  #hash(text: string): Buffer {
    return createHmac("sha256", this.#secret as string)
      .update(text)
      .digest()
      .subarray(0, HASH_BYTES);
  }
}

function readSecret(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const where = "relay.presence.hashSecretFile";
  let text: string;
  try {
    text = readSecretFile(file);
  } catch (error) {
    throw new ConfigError([`${where}: ${messageOf(error)}`]);
  }
  if (Buffer.byteLength(text) < MIN_HASH_SECRET_BYTES) {
    throw new ConfigError([`${where}: ${file} must hold at least ${MIN_HASH_SECRET_BYTES} bytes`]);
  }
  return text;
}

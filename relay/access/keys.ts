/** Secrets and API keys, as read from the configuration and the files it names. */
import { createHash, timingSafeEqual } from "node:crypto";
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import type { RelayConfig } from "../config/config.ts";
import { MIN_API_KEY_BYTES, MIN_SECRET_BYTES } from "../config/keys.ts";
import type { ChannelPattern } from "../contract/patterns.ts";

export type Scope = RelayConfig["apiKeys"][number]["scopes"][number];

export interface ApiKey {
  readonly name: string;
  readonly channels: readonly ChannelPattern[];
  readonly scopes: readonly Scope[];
  readonly trusted: boolean;
  /** 0: no limit. */
  readonly itemsPerSecond: number;
}

/** Secrets and API keys as they were read; a reload makes new ones. */
export interface Keys {
  /** HS256 secrets by `kid`. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** The API key of a request; undefined when it is none of ours. */
  findApiKey(presented: string): ApiKey | undefined;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Why no `x-api-key` header can carry `key`; undefined when one can. */
export function apiKeyProblem(key: string): string | undefined {
  return /^[!-~]([ -~]*[!-~])?$/.test(key)
    ? undefined
    : "the key must be printable ASCII, without line breaks, and no blank at either end";
}

/**
 * Reads all keys.
 * @throws {ConfigError} names every file that cannot be read and every key that is too short
 */
export function loadKeys(config: Pick<RelayConfig, "tokens" | "apiKeys">): Keys {
  const problems: string[] = [];
  const read = (
    where: string,
    inline: string | undefined,
    file: string | undefined,
    min: number,
  ) => {
    if (inline !== undefined) return inline;
    try {
      const text = readSecretFile(file as string);
      if (Buffer.byteLength(text) < min) {
        problems.push(`${where}: ${file} must hold at least ${min} bytes`);
      }
      return text;
    } catch (error) {
      problems.push(`${where}: ${messageOf(error)}`);
      return "";
    }
  };
  const secrets = new Map<string, Uint8Array>();
  for (const [index, { kid, secret, secretFile }] of config.tokens.secrets.entries()) {
    const where = `relay.tokens.secrets[${index}].secretFile`;
    secrets.set(kid, Buffer.from(read(where, secret, secretFile, MIN_SECRET_BYTES)));
  }
  const apiKeys = config.apiKeys.map(({ key, keyFile, ...apiKey }, index) => {
    const where = `relay.apiKeys[${index}]`;
    const text = read(`${where}.keyFile`, key, keyFile, MIN_API_KEY_BYTES);
    const problem = text && apiKeyProblem(text);
    if (problem) problems.push(`${where}: ${problem}`);
    return { apiKey, digest: digest(text) };
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    secrets,
    findApiKey(presented) {
      // All keys are compared, in constant time, so that time tells nothing about any of them.
      const wanted = digest(presented);
      let found: ApiKey | undefined;
      for (const { apiKey, digest } of apiKeys) {
        if (timingSafeEqual(digest, wanted)) found = apiKey;
      }
      return found;
    },
  };
}

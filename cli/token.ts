/** `rtm token`: makes tokens with the configured secrets, and says what is in one. */
import { text } from "node:stream/consumers";
import { messageOf } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { readSecretFile } from "../common/secret-file.ts";
import { formatDuration } from "../common/units.ts";
import type { Grant } from "../relay/access/claims.ts";
import { loadKeys } from "../relay/access/keys.ts";
import { explainToken, mintToken } from "../relay/access/token.ts";
import type { RelayConfig } from "../relay/config/config.ts";
import { readConfig } from "./config.ts";
import { CommandError, EXIT, UsageError } from "./exit.ts";

export interface MintRequest {
  readonly subject: string;
  readonly channels: readonly string[];
  /** ms; default relay.tokens.lifetime. */
  readonly lifetimeMs?: number;
  /** Default: the last secret of the list, which is the newest where one is being rotated in. */
  readonly kid?: string;
}

function secretsOf({ tokens }: RelayConfig): ReadonlyMap<string, Uint8Array> {
  return loadKeys({ tokens, apiKeys: [] }).secrets;
}

/**
 * A token signed with a secret of the configuration.
 * @throws {CommandError} there is no such secret
 * @throws {RtmError} RTM_TOKEN_CLAIMS
 */
export async function mintWith(relay: RelayConfig, request: MintRequest): Promise<string> {
  const secrets = secretsOf(relay);
  const kid = request.kid ?? [...secrets.keys()].at(-1);
  if (kid === undefined) {
    throw new CommandError("relay.tokens.secrets is empty: there is no secret to sign with");
  }
  const secret = secrets.get(kid);
  if (!secret) {
    throw new CommandError(
      `--kid ${kid}: relay.tokens.secrets has no such kid, only ${[...secrets.keys()].join(", ")}`,
    );
  }
  const { subject, channels, lifetimeMs = relay.tokens.lifetime } = request;
  const { maxLifetime } = relay.tokens;
  if (lifetimeMs > maxLifetime) {
    throw new CommandError(
      `--lifetime: a relay refuses tokens above relay.tokens.maxLifetime (${formatDuration(maxLifetime)})`,
    );
  }
  return mintToken({ subject, channels, lifetimeMs, kid, secret });
}

export interface MintFlags {
  readonly config?: string;
  readonly sub: string;
  /** ms */
  readonly lifetime?: number;
  readonly kid?: string;
}

/** Prints a token. */
export async function mint(channels: readonly string[], options: MintFlags): Promise<void> {
  const { config, sub, lifetime, kid } = options;
  const { relay } = readConfig(config);
  const token = await mintWith(relay, {
    subject: sub,
    channels,
    ...(lifetime === undefined ? {} : { lifetimeMs: lifetime }),
    ...(kid === undefined ? {} : { kid }),
  });
  process.stdout.write(`${token}\n`);
}

/**
 * The token of `--token-file` or RTM_TOKEN, where an empty one is none; never an argument, which `ps`
 * would show.
 * @throws {UsageError} the file cannot be read
 */
export function givenToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.RTM_TOKEN || undefined;
  try {
    return readSecretFile(file);
  } catch (error) {
    throw new UsageError(`--token-file: ${messageOf(error)}`, { cause: error });
  }
}

/** Times as text. */
function shownGrants({ endsAt, issuedAt, ...others }: Grant): object {
  const text = (time: number) => new Date(time).toISOString();
  const issued = issuedAt === undefined ? {} : { issuedAt: text(issuedAt) };
  return { ...others, ...issued, endsAt: text(endsAt) };
}

/** Prints what a token says and whether a relay with this configuration takes it; 1 when not. */
export async function explain(options: { config?: string; tokenFile?: string }): Promise<number> {
  const { relay } = readConfig(options.config);
  const token = givenToken(options.tokenFile) ?? (await text(process.stdin)).trim();
  const { grants, ...explained } = explainToken(token, {
    secrets: secretsOf(relay),
    clockTolerance: relay.tokens.clockTolerance,
    maxChannels: relay.limits.tokenChannels,
    maxLifetime: relay.tokens.maxLifetime,
  });
  const shown = {
    ...explained,
    ...(grants && { grants: shownGrants(grants) }),
  };
  process.stdout.write(`${printable(JSON.stringify(shown, undefined, 2))}\n`);
  return explained.valid ? EXIT.ok : EXIT.failed;
}

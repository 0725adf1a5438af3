/** The part of the configuration about who may do what: secrets that sign tokens, and API keys. */
import { z } from "zod";
import { count, duration, type Problem } from "../../common/schema.ts";
import { formatDuration } from "../../common/units.ts";
import { channelPattern, plainName } from "./names.ts";

/** Shortest HS256 secret: RFC 7518 section 3.2 asks for a key as long as the hash, 32 bytes. */
export const MIN_SECRET_BYTES = 32;
/** Shortest API key. */
export const MIN_API_KEY_BYTES = 16;

/** Exactly one of an inline value and a file that holds it. */
function inlineOrFile(
  entry: Readonly<Record<string, unknown>>,
  inline: string,
  file: string,
  minBytes: number,
  context: z.core.$RefinementCtx,
): void {
  const value = entry[inline];
  if ((value === undefined) === (entry[file] === undefined)) {
    context.addIssue({ code: "custom", message: `needs either ${inline} or ${file}` });
  } else if (typeof value === "string" && Buffer.byteLength(value) < minBytes) {
    context.addIssue({
      code: "custom",
      path: [inline],
      message: `must be at least ${minBytes} bytes long`,
    });
  }
}

const tokenSecret = z
  .strictObject({
    kid: plainName.describe("Name of the secret; a token's header says which one signed it."),
    secret: z
      .string()
      .optional()
      .describe("The HS256 secret, at least 32 bytes of UTF-8. Prefer secretFile."),
    secretFile: z
      .string()
      .optional()
      .describe("File that holds the secret: one line of UTF-8 text."),
  })
  .superRefine((entry, context) =>
    inlineOrFile(entry, "secret", "secretFile", MIN_SECRET_BYTES, context),
  );

const apiKey = z
  .strictObject({
    name: plainName.describe("Name of the key, for logs and metrics."),
    key: z.string().optional().describe("The key, at least 16 bytes. Prefer keyFile."),
    keyFile: z.string().optional().describe("File that holds the key: one line of UTF-8 text."),
    channels: z
      .array(channelPattern)
      .min(1)
      .default(["*"])
      .describe(
        "Channels for which it may do that: exact names, or prefixes with a trailing *. Users are " +
          "revoked and disconnected only by keys with *.",
      ),
    scopes: z
      .array(z.enum(["publish", "manage", "read"]))
      .min(1)
      .default(["publish"])
      .describe(
        "What it may do. publish: messages. manage: revoke, disconnect, unsubscribe, forget. " +
          "read: look at channels and their history.",
      ),
    itemsPerSecond: count(
      "Messages and control items that it may post per second in the long run, the largest body at " +
        "once; 0: no limit. A trusted key is told to try again (503), another one gets 429.",
      0,
      0,
    ),
    trusted: z
      .boolean()
      .default(false)
      .describe(
        "Whether id and ts of its messages are taken over; keys of workers and of the database need it.",
      ),
  })
  .superRefine((entry, context) =>
    inlineOrFile(entry, "key", "keyFile", MIN_API_KEY_BYTES, context),
  );

export const tokensConfig = z.strictObject({
  secrets: z.array(tokenSecret).default([]).describe("Secrets that sign tokens (HS256)."),
  clockTolerance: duration({ max: 300_000 })
    .prefault("30s")
    .describe("How far the clocks of relay and issuer may differ."),
  lifetime: duration({ min: 1000, max: 86_400_000 })
    .prefault("15m")
    .describe("Life of a token made by rtm token."),
  maxLifetime: duration({ min: 1000, max: 366 * 86_400_000 })
    .prefault("24h")
    .describe("Tokens that live longer are refused; a revocation is remembered for so long."),
});

export const apiKeysConfig = z
  .array(apiKey)
  .default([])
  .describe("Keys of servers, the worker and the database.");

interface Keys {
  readonly tokens: z.output<typeof tokensConfig>;
  readonly apiKeys: z.output<typeof apiKeysConfig>;
}

/** What contradicts itself in the keys. */
export function keyProblems({ tokens, apiKeys }: Keys, problem: Problem): void {
  if (tokens.lifetime > tokens.maxLifetime) {
    problem(
      ["tokens", "lifetime"],
      `must not exceed tokens.maxLifetime (${formatDuration(tokens.maxLifetime)})`,
    );
  }
  duplicateNames(tokens.secrets, "kid", ["tokens", "secrets"], problem);
  duplicateNames(apiKeys, "name", ["apiKeys"], problem);
}

function duplicateNames(
  entries: readonly Readonly<Record<string, unknown>>[],
  key: string,
  path: (string | number)[],
  problem: Problem,
): void {
  const seen = new Set<unknown>();
  for (const [index, entry] of entries.entries()) {
    if (seen.has(entry[key])) problem([...path, index, key], "is used twice");
    seen.add(entry[key]);
  }
}

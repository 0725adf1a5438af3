/** The part of the configuration about who is seen where (docs/protocol.md, Presence). */
import { z } from "zod";
import { duration } from "../../common/schema.ts";
import { channelPattern } from "./names.ts";

/** Shortest secret from which the ids of hidden users are made, bytes. */
export const MIN_HASH_SECRET_BYTES = 32;
/** The most bytes that one member takes of a list: its id, what it shows of itself, and keys. */
export const MEMBER_BYTES = 2048;

const rule = z.strictObject({
  channels: channelPattern.describe("Exact name, or a prefix with a trailing *."),
  watchOnly: z
    .boolean()
    .default(false)
    .describe("Whether somebody may see the others without being seen."),
  hashUsers: z
    .boolean()
    .default(false)
    .describe(
      "Shows a keyed hash in place of each user's name, another one in each channel; needs hashSecretFile.",
    ),
  database: z
    .boolean()
    .default(false)
    .describe("Whether RTM_PRESENCE in the database shows the members too."),
});

export const presenceConfig = z
  .strictObject({
    rules: z
      .array(rule)
      .default([])
      .describe(
        "Channels in which users can be seen, where their tokens say so; the first match counts. " +
          "Without a rule nobody is seen anywhere.",
      ),
    members: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(200)
      .describe("In a channel with more members only their number is told, until 90 % are left."),
    grace: duration({ max: 600_000 })
      .prefault("15s")
      .describe(
        "How long a user whose connection was lost is still seen; a page that is reloaded.",
      ),
    hashSecret: z
      .string()
      .optional()
      .describe(
        "From which the ids of hidden users are made, at least 32 bytes of UTF-8; the same on all " +
          "nodes. Prefer hashSecretFile.",
      ),
    hashSecretFile: z
      .string()
      .optional()
      .describe("File that holds the secret: one line of UTF-8 text."),
  })
  .superRefine(({ rules, hashSecret, hashSecretFile }, context) => {
    const problem = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (hashSecret !== undefined && hashSecretFile !== undefined) {
      problem("hashSecret", "needs either hashSecret or hashSecretFile, not both");
    } else if (hashSecret !== undefined && Buffer.byteLength(hashSecret) < MIN_HASH_SECRET_BYTES) {
      problem("hashSecret", `must be at least ${MIN_HASH_SECRET_BYTES} bytes long`);
    }
    const hasSecret = hashSecret !== undefined || hashSecretFile !== undefined;
    if (!hasSecret && rules.some(({ hashUsers }) => hashUsers)) {
      problem("hashSecretFile", "is needed where a rule has hashUsers");
    }
  });

export type PresenceConfig = z.output<typeof presenceConfig>;
export type PresenceRule = z.output<typeof rule>;

/** What belongs to the process as a whole, whatever runs in it. */
import { z } from "zod";
import { port } from "../../common/schema.ts";

export const serviceConfig = z.strictObject({
  admin: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether the admin listener runs."),
      host: z
        .string()
        .min(1)
        .default("127.0.0.1")
        .describe("Address of the admin listener (/metrics, /readyz). Never proxy it."),
      hosts: z
        .array(z.string().min(1))
        .default([])
        .describe(
          "Further names under which the admin listener is asked. localhost, the name in host and " +
            "addresses are always right; any other name gets 421 (DNS rebinding).",
        ),
      port: port("Port of the admin listener; 0 lets the system choose.", 3001),
    })
    .prefault({}),
  console: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe("Whether the admin listener has the console, /console/ (docs/console.md)."),
      tokenFile: z
        .string()
        .min(1)
        .optional()
        .describe(
          "File with a token of at least 32 bytes. Without it only this host may look; with it others " +
            "may, who show it, and acting needs it from this host too.",
        ),
      payloads: z
        .boolean()
        .default(false)
        .describe("Whether the console's live tail shows payloads, and not only names and sizes."),
    })
    .prefault({}),
  stateDirectory: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Directory for the relay's history during a restart, which without it is forgotten, for " +
        "revocations (with a shared log too; each node needs one of its own), and for poison " +
        "that the database cannot keep (default there: apex-rtm in the user's state directory).",
    ),
});

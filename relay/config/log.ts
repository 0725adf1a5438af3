/** The part of the configuration about what numbers the messages (docs/cluster.md). */
import { z } from "zod";
import { duration, size, textWithout } from "../../common/schema.ts";

const MIB = 1024 * 1024;

export const logConfig = z
  .strictObject({
    kind: z
      .enum(["memory", "valkey"])
      .default("memory")
      .describe(
        "What numbers the messages. memory: this node alone. valkey: one log in a Valkey or Redis that " +
          "many nodes share; all of them serve.",
      ),
    url: z
      .string()
      .optional()
      .describe(
        "Address of the engine, such as rediss://user:password@host:6379/0 (redis:// without TLS). " +
          "Prefer urlFile.",
      ),
    urlFile: z
      .string()
      .optional()
      .describe("File that holds the address; read anew for every connection."),
    tls: z
      .strictObject({
        caFile: z
          .string()
          .optional()
          .describe("PEM file of the authority, in place of the system's."),
        certFile: z.string().optional().describe("PEM file of this node's certificate."),
        keyFile: z.string().optional().describe("PEM file of its key."),
      })
      .prefault({}),
    prefix: textWithout(prefixProblem)
      .default("rtm")
      .describe("Names the log in the engine: one per group of nodes."),
    grace: duration({ min: 1000, max: 600_000 })
      .prefault("15s")
      .describe(
        "A node that has not heard the log for longer closes its clients and is not ready.",
      ),
    bytes: size({ min: MIB })
      .optional()
      .describe("Bytes that the engine keeps; default history.totalBytes."),
    age: duration({ min: 1000, max: 86_400_000 })
      .optional()
      .describe("How long the engine keeps a message; default history.age."),
  })
  .superRefine((config, context) => {
    const problem = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    const { kind, url, urlFile, tls } = config;
    if (kind === "memory") {
      if (url !== undefined || urlFile !== undefined)
        problem("kind", "must be valkey to use a url");
      return;
    }
    if ((url === undefined) === (urlFile === undefined)) {
      problem("url", "valkey needs either url or urlFile");
    } else if (url !== undefined) {
      const text = engineUrlProblem(url);
      if (text !== undefined) problem("url", text);
    }
    if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
      problem("tls", "needs both certFile and keyFile, or neither");
    }
  });

/** Why `url` is not the address of an engine; undefined when it is. */
function engineUrlProblem(url: string): string | undefined {
  const protocols = ["redis:", "rediss:", "valkey:", "valkeys:"];
  if (!URL.canParse(url) || !protocols.includes(new URL(url).protocol)) {
    return "is no address; write it like rediss://user:password@host:6379/0";
  }
  return undefined;
}

/** Why `prefix` cannot name the log; undefined when it can. */
function prefixProblem(prefix: unknown): string | undefined {
  return typeof prefix === "string" && /^[A-Za-z0-9_.-]{1,64}$/.test(prefix)
    ? undefined
    : "must be 1-64 letters, digits, dots, dashes or underscores";
}

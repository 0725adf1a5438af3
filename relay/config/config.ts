/** The relay's part of the configuration; its larger sections are in files of their own beside this one. */
import proxyAddr from "proxy-addr";
import { z } from "zod";
import { duration, type Problem, port } from "../../common/schema.ts";
import {
  boundProblems,
  duplicatesConfig,
  historyConfig,
  limitsConfig,
  retainedConfig,
  slowClientsConfig,
} from "./bounds.ts";
import { clientEventsConfig } from "./client-events.ts";
import { apiKeysConfig, keyProblems, tokensConfig } from "./keys.ts";
import { logConfig } from "./log.ts";
import { channelPattern } from "./names.ts";
import { presenceConfig } from "./presence.ts";

/** The schema of `relay`; defaults, bounds and descriptions are also the reference page. */
export const relayConfig = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
    port: port("TCP port to listen on; 0 lets the system choose.", 3000),
    insecure: z
      .boolean()
      .default(false)
      .describe(
        "No authorization at all: every client may read and write every channel. For demos.",
      ),
    publicChannels: z
      .array(channelPattern)
      .default([])
      .describe("Channels that may be read without a token: names, or prefixes with a trailing *."),
    origins: z
      .array(z.string())
      .default([])
      .describe(
        "Web origins whose pages may connect, such as https://apex.example.com; * allows all. " +
          "Clients that send no Origin header are no pages and are not concerned.",
      ),
    trustedProxies: z
      .array(z.string())
      .default([])
      .describe("Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed."),
    tokens: tokensConfig.prefault({}),
    apiKeys: apiKeysConfig,
    limits: limitsConfig.prefault({}),
    history: historyConfig.prefault({}),
    retained: retainedConfig.prefault({}),
    log: logConfig.prefault({}),
    wire: z
      .enum(["auto", "direct", "joined", "public"])
      .default("auto")
      .describe(
        "How frames reach a socket. direct: past Node's streams, by private parts of Node. joined: one " +
          "write for all frames. public: frame by frame. auto: the fastest that works here.",
      ),
    duplicates: duplicatesConfig.prefault({}),
    slowClients: slowClientsConfig.prefault({}),
    presence: presenceConfig.prefault({}),
    clientEvents: clientEventsConfig.prefault({}),
    heartbeat: z
      .strictObject({
        interval: duration({ min: 100, max: 600_000 })
          .prefault("25s")
          .describe("Time between pings; a client silent for twice as long is closed."),
      })
      .prefault({}),
    connectDeadline: duration({ min: 50, max: 600_000 })
      .prefault("10s")
      .describe("Time a client has for its connect frame, and for its HTTP headers."),
    compat: z
      .strictObject({
        firehose: z
          .boolean()
          .default(false)
          .describe("A URL without any channel gets everything in publicChannels."),
      })
      .prefault({}),
    drain: z
      .strictObject({
        window: duration({ max: 600_000 })
          .prefault("5s")
          .describe("At a stop, closes of many clients are spread over this time."),
        grace: duration({ min: 10, max: 60_000 })
          .prefault("2s")
          .describe("How long a stop waits for clients to answer the close."),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const problem: Problem = (path, message) => context.addIssue({ code: "custom", path, message });
    const { tokens, apiKeys } = config;

    if (!config.insecure && tokens.secrets.length === 0 && apiKeys.length === 0) {
      problem(
        ["tokens", "secrets"],
        "no keys are configured: set tokens.secrets (and apiKeys for REST), or insecure to true",
      );
    } else if (
      !config.insecure &&
      tokens.secrets.length === 0 &&
      config.publicChannels.length === 0
    ) {
      problem(
        ["tokens", "secrets"],
        "nobody could read: set tokens.secrets, or publicChannels, or insecure to true",
      );
    }
    for (const [index, origin] of config.origins.entries()) {
      const canonical = originOf(origin);
      if (canonical === undefined) {
        problem(["origins", index], 'is not an origin; write it like "https://apex.example.com"');
      }
    }
    for (const [index, address] of config.trustedProxies.entries()) {
      try {
        proxyAddr.compile([address]);
      } catch {
        problem(["trustedProxies", index], "is neither an address nor a range such as 10.0.0.0/8");
      }
    }
    keyProblems(config, problem);
    boundProblems(config, problem);
    if (config.compat.firehose && config.publicChannels.length === 0) {
      problem(["compat", "firehose"], "has no effect without publicChannels");
    }
  });

/** `relay` as it was parsed: durations in ms, sizes in bytes, frozen. */
export type RelayConfig = z.output<typeof relayConfig>;

/** The canonical spelling of a web origin, `*` for any; undefined when the text is none. */
export function originOf(text: string): string | undefined {
  if (text === "*") return text;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return bare && url.origin !== "null" ? url.origin : undefined;
}

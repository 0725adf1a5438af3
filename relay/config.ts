/** The relay's part of the configuration. */
import proxyAddr from "proxy-addr";
import { z } from "zod";
import { duration, port, size, textWithout } from "../common/schema.ts";
import { formatDuration, formatSize } from "../common/units.ts";
import { nameProblem } from "./contract/message.ts";
import { patternProblem } from "./contract/patterns.ts";
import { MEMBER_BYTES, presenceConfig } from "./presence-config.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Shortest HS256 secret: RFC 7518 section 3.2 asks for a key as long as the hash, 32 bytes. */
export const MIN_SECRET_BYTES = 32;
/** Shortest API key. */
export const MIN_API_KEY_BYTES = 16;
/** What an encoded message may need beside its payload's JSON text: names, id, numbers, keys. */
export const ENVELOPE_BYTES = 4 * KIB;

const count = (description: string, value: number, min = 1, max = 100_000_000) =>
  z.number().int().min(min).max(max).default(value).describe(description);

const pattern = textWithout(patternProblem);
const name = textWithout(nameProblem);

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
    kid: name.describe("Name of the secret; a token's header says which one signed it."),
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
    name: name.describe("Name of the key, for logs and metrics."),
    key: z.string().optional().describe("The key, at least 16 bytes. Prefer keyFile."),
    keyFile: z.string().optional().describe("File that holds the key: one line of UTF-8 text."),
    channels: z
      .array(pattern)
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

const limits = z.strictObject({
  messageBytes: size({ min: KIB, max: 64 * MIB })
    .prefault("1MiB")
    .describe("Largest encoded message. One figure for REST, worker and SQL."),
  frameBytes: size({ min: KIB, max: 16 * MIB })
    .prefault("64KiB")
    .describe(
      "Largest frame a WebSocket client may send, and largest body of POST /stream and POST /poll.",
    ),
  channels: count("Channels per connection.", 100, 1, 100_000),
  tokenChannels: count(
    "Entries of the claim channels in one token, and in all tokens of a connection together.",
    1000,
    1,
    100_000,
  ),
  connections: count("Connections in all: WebSockets, streams and polls.", 10_000, 1, 1_000_000),
  streamAge: duration({ min: 1000, max: 86_400_000 })
    .prefault("5m")
    .describe(
      "An event stream ends after this time, and its client opens another one: a page that died " +
        "behind a proxy says nothing. Up to a tenth less, so that not all end together.",
    ),
  connectionsPerSubject: count(
    "Connections of one person: of a subject whose tokens have the claim self.",
    50,
    1,
    1_000_000,
  ),
  presenceChannels: count("Channels in which a connection is seen, or sees who is there.", 20),
  presenceMembers: count("Users seen in all channels together, on all nodes.", 100_000),
  commandsPerSecond: count(
    "Frames per second a client may send in the long run; each channel named in a frame counts.",
    50,
    1,
    1_000_000,
  ),
  refusalsPerMinute: count(
    "Refused clients of one address in a minute; beyond it the address gets HTTP 429 instead of a " +
      "WebSocket. 0: no limit.",
    600,
    0,
  ),
  replayBytesPerMinute: size()
    .optional()
    .describe(
      "History that all clients of one address may be sent in a minute when they come back, and as " +
        "much at once; beyond it they get recovered:false. 0B: no limit. " +
        "Default: 256MiB, or twice history.totalBytes where that is more.",
    ),
  batchMessages: count("Messages in one POST.", 1000, 1, 100_000),
  batchBytes: size({ min: KIB, max: 256 * MIB })
    .prefault("8MiB")
    .describe("Bytes of the body of one POST."),
});

const history = z.strictObject({
  count: count("Messages kept per channel; 0 keeps none.", 1000, 0, 1_000_000),
  age: duration({ min: 1000, max: 86_400_000 })
    .prefault("15m")
    .describe("How long a message is kept."),
  bytes: size({ max: 1024 * MIB })
    .prefault("2MiB")
    .describe("Bytes kept per channel; not above slowClients.connectionBytes."),
  totalCount: count("Messages kept in all channels together.", 200_000, 0),
  totalBytes: size()
    .prefault("128MiB")
    .describe(
      "Memory for the messages of all channels together: their bytes, 800 more for each, and 700 for " +
        "each channel that has some.",
    ),
  ageMargin: duration({ max: 600_000 })
    .prefault("5s")
    .describe("Added to the age a client asks for, for the time its frame is under way."),
});

const slowClients = z.strictObject({
  connectionBytes: size({ min: 16 * KIB, max: 1024 * MIB })
    .prefault("4MiB")
    .describe("Unsent bytes held in this process for one connection."),
  totalBytes: size({ min: 16 * KIB })
    .prefault("256MiB")
    .describe("Unsent bytes held for all connections; beyond it the fullest are disconnected."),
  policies: z
    .array(
      z.strictObject({
        channels: pattern.describe("Exact name, or a prefix with a trailing *."),
        policy: z
          .enum(["disconnect", "latest"])
          .describe(
            "disconnect: the connection is dropped, reconnects and recovers. " +
              "latest: only the newest message per event is kept until the client catches up.",
          ),
      }),
    )
    .default([])
    .describe("What happens when a client is over its cap; the first match counts."),
});

/** Why `url` is not the address of an engine; undefined when it is. */
function engineUrlProblem(url: string): string | undefined {
  const protocols = ["redis:", "rediss:", "valkey:", "valkeys:"];
  if (!URL.canParse(url) || !protocols.includes(new URL(url).protocol)) {
    return "is no address; write it like rediss://user:password@host:6379/0";
  }
  return undefined;
}

const log = z
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

/** Why `prefix` cannot name the log; undefined when it can. */
function prefixProblem(prefix: unknown): string | undefined {
  return typeof prefix === "string" && /^[A-Za-z0-9_.-]{1,64}$/.test(prefix)
    ? undefined
    : "must be 1-64 letters, digits, dots, dashes or underscores";
}

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
      .array(pattern)
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
    tokens: z
      .strictObject({
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
      })
      .prefault({}),
    apiKeys: z.array(apiKey).default([]).describe("Keys of servers, the worker and the database."),
    limits: limits.prefault({}),
    history: history.prefault({}),
    log: log.prefault({}),
    wire: z
      .enum(["auto", "direct", "joined", "public"])
      .default("auto")
      .describe(
        "How frames reach a socket. direct: past Node's streams, by private parts of Node. joined: one " +
          "write for all frames. public: frame by frame. auto: the fastest that works here.",
      ),
    duplicates: z
      .strictObject({
        window: duration({ max: 86_400_000 })
          .prefault("15m")
          .describe("How long a message id is remembered; a repeated one is not sent again."),
        // A Map of V8 holds 2^24 entries, deleted ones included until half of them are.
        count: count(
          "Message ids remembered for each source: each queue, and each trusted API key.",
          100_000,
          0,
          8_000_000,
        ),
      })
      .prefault({}),
    slowClients: slowClients.prefault({}),
    presence: presenceConfig.prefault({}),
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
    const problem = (path: (string | number)[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    const { limits, history, slowClients, tokens, apiKeys } = config;

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
    if (tokens.lifetime > tokens.maxLifetime) {
      problem(
        ["tokens", "lifetime"],
        `must not exceed tokens.maxLifetime (${formatDuration(tokens.maxLifetime)})`,
      );
    }
    duplicateNames(tokens.secrets, "kid", ["tokens", "secrets"], problem);
    duplicateNames(apiKeys, "name", ["apiKeys"], problem);

    const cap = slowClients.connectionBytes;
    if (history.bytes > cap) {
      problem(
        ["history", "bytes"],
        `must not exceed slowClients.connectionBytes (${formatSize(cap)})`,
      );
    }
    if (limits.messageBytes * 2 > cap) {
      problem(
        ["slowClients", "connectionBytes"],
        `must hold two of the largest messages (limits.messageBytes is ${formatSize(limits.messageBytes)})`,
      );
    }
    if (cap > slowClients.totalBytes) {
      problem(
        ["slowClients", "totalBytes"],
        `must not be below slowClients.connectionBytes (${formatSize(cap)})`,
      );
    }
    const { presence } = config;
    if (presence.rules.length > 0 && presence.members * MEMBER_BYTES > cap / 2) {
      const most = Math.floor(cap / 2 / MEMBER_BYTES);
      problem(
        ["presence", "members"],
        `must not exceed ${most}: lists of members must fit into slowClients.connectionBytes (${formatSize(cap)})`,
      );
    }
    if (history.bytes > history.totalBytes) {
      problem(
        ["history", "totalBytes"],
        `must not be below history.bytes (${formatSize(history.bytes)})`,
      );
    }
    const { replayBytesPerMinute = 0 } = limits;
    if (replayBytesPerMinute > 0 && replayBytesPerMinute < history.bytes) {
      problem(
        ["limits", "replayBytesPerMinute"],
        `must hold a channel in full: at least history.bytes (${formatSize(history.bytes)}), or 0B for no limit`,
      );
    }
    if (history.count > history.totalCount) {
      problem(["history", "totalCount"], `must not be below history.count (${history.count})`);
    }
    if (limits.batchBytes < limits.messageBytes + ENVELOPE_BYTES) {
      problem(
        ["limits", "batchBytes"],
        `must hold one message: at least limits.messageBytes and ${formatSize(ENVELOPE_BYTES)}`,
      );
    }
    if (config.compat.firehose && config.publicChannels.length === 0) {
      problem(["compat", "firehose"], "has no effect without publicChannels");
    }
  });

export type RelayConfig = z.output<typeof relayConfig>;

/** The canonical spelling of a web origin, `*` for any; undefined when the text is none. */
export function originOf(text: string): string | undefined {
  if (text === "*") return text;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return bare && url.origin !== "null" ? url.origin : undefined;
}

function duplicateNames(
  entries: readonly Readonly<Record<string, unknown>>[],
  key: string,
  path: (string | number)[],
  problem: (path: (string | number)[], message: string) => void,
): void {
  const seen = new Set<unknown>();
  for (const [index, entry] of entries.entries()) {
    if (seen.has(entry[key])) problem([...path, index, key], "is used twice");
    seen.add(entry[key]);
  }
}

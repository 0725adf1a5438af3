/**
 * The part of the configuration about how much is taken, kept and held: limits, history, remembered ids,
 * slow clients.
 */
import { z } from "zod";
import { count, duration, type Problem, size } from "../../common/schema.ts";
import { formatSize } from "../../common/units.ts";
import { channelPattern } from "./names.ts";
import { MEMBER_BYTES, type PresenceConfig } from "./presence.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What an encoded message may need beside its payload's JSON text: names, id, numbers, keys. */
const ENVELOPE_BYTES = 4 * KIB;

export const limitsConfig = z.strictObject({
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
  publishers: count(
    "Publishing sockets of servers; a worker that gets none posts instead.",
    100,
    1,
    10_000,
  ),
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

export const historyConfig = z.strictObject({
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

export const retainedConfig = z.strictObject({
  count: count(
    "Messages kept beside the history because their senders asked for that (retain), in all " +
      "channels together; the one that was kept first goes first. 0 keeps none.",
    10_000,
    0,
    1_000_000,
  ),
  bytes: size({ max: 1024 * MIB })
    .prefault("32MiB")
    .describe(
      "Bytes of these messages in all; about 1 KiB of memory is needed for each beside. A message that is " +
        "larger than this is not kept.",
    ),
});

export const slowClientsConfig = z.strictObject({
  connectionBytes: size({ min: 16 * KIB, max: 1024 * MIB })
    .prefault("4MiB")
    .describe("Unsent bytes held in this process for one connection."),
  totalBytes: size({ min: 16 * KIB })
    .prefault("256MiB")
    .describe("Unsent bytes held for all connections; beyond it the fullest are disconnected."),
  policies: z
    .array(
      z.strictObject({
        channels: channelPattern.describe("Exact name, or a prefix with a trailing *."),
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

export const duplicatesConfig = z.strictObject({
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
});

interface Bounds {
  readonly limits: z.output<typeof limitsConfig>;
  readonly history: z.output<typeof historyConfig>;
  readonly slowClients: z.output<typeof slowClientsConfig>;
  readonly presence: PresenceConfig;
}

/** Which bounds do not fit together: what is allowed to come must fit into what holds it. */
export function boundProblems(
  { limits, history, slowClients, presence }: Bounds,
  problem: Problem,
): void {
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
}

/** `rtm tail`: prints the messages of channels as JSON lines until it is interrupted. */
import WebSocket from "ws";
import { z } from "zod";
import { fullJitter, sleep } from "../common/backoff.ts";
import { printable, printableLine } from "../common/printable.ts";
import { formatDuration } from "../common/units.ts";
import { CLOSE, SUBPROTOCOL } from "../relay/contract/protocol.ts";
import { CommandError } from "./exit.ts";
import { webSocketBelow } from "./relay-url.ts";
import { givenToken } from "./token.ts";

/** For the whole handshake, whose own limit counts silence only, and then for the relay's first word. */
const OPEN_LIMIT_MS = 10_000;
/** What is believed of `pingMs`. */
const MAX_PING_MS = 3_600_000;

const messageFrame = z.object({
  op: z.undefined().optional(),
  channel: z.string(),
  seq: z.number(),
});
const subscribedFrame = z.object({
  op: z.literal("subscribed"),
  channel: z.string(),
  epoch: z.string(),
  seq: z.number(),
  recovered: z.boolean(),
});
const errorFrame = z.object({ op: z.literal("error"), code: z.string(), message: z.string() });
const connectedFrame = z.object({
  op: z.literal("connected"),
  pingMs: z.number().min(1).max(MAX_PING_MS).optional().catch(undefined),
});
const pingFrame = z.object({ op: z.literal("ping") });
/** Whatever else there is, now or in a later version. */
const otherFrame = z
  .object({ op: z.string().refine((op) => op !== "subscribed" && op !== "error") })
  .transform(() => ({ op: "other" as const }));
/** What of the relay's frames is used here. The server may be none of ours. */
const serverFrame = z.union([
  messageFrame,
  subscribedFrame,
  errorFrame,
  connectedFrame,
  pingFrame,
  otherFrame,
]);
type MessageFrame = z.output<typeof messageFrame>;

function parseFrame(text: string): z.output<typeof serverFrame> | undefined {
  try {
    return serverFrame.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export interface TailOptions {
  readonly url: string;
  readonly tokenFile?: string;
  /** Ends after so many messages. */
  readonly count?: number;
}

interface Position {
  epoch: string;
  seq: number;
}

type Outcome = { readonly ended: true } | { readonly ended: false; readonly why: string };

/**
 * A message on one line. JSON strings hold no raw line break, so that one between two tokens is blank;
 * the digits and letters of the payload stay as they are.
 */
export function oneLine(json: string): string {
  return json.replace(/\s*[\r\n]\s*/g, " ");
}

/**
 * One line per message on standard output; everything else goes to standard error. A relay that was
 * never reached ends it, one that goes away is waited for.
 * @throws {CommandError}
 */
export async function tail(
  channels: readonly string[],
  options: TailOptions,
  signal: AbortSignal,
): Promise<void> {
  const positions = new Map<string, Position>();
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const print = (frame: MessageFrame, line: string): boolean => {
    const position = positions.get(frame.channel);
    if (position) position.seq = frame.seq;
    process.stdout.write(`${printable(oneLine(line))}\n`);
    return --left > 0;
  };
  let reached = false;
  for (let attempt = 1; !signal.aborted; attempt++) {
    const outcome = await oneConnection(channels, options, positions, print, signal, () => {
      attempt = 0;
      reached = true;
    });
    if (outcome.ended) return;
    if (!reached) throw new CommandError(`${options.url}: ${outcome.why}`);
    say(`${outcome.why}; reconnecting to ${options.url}`);
    await sleep(fullJitter(attempt + 1, { baseMs: 500, capMs: 10_000 }), signal).catch(() => {});
  }
}

function say(text: string): void {
  process.stderr.write(`rtm tail: ${printableLine(text)}\n`);
}

/** Prints until the connection ends, and says how it ended. */
function oneConnection(
  channels: readonly string[],
  { url, tokenFile }: TailOptions,
  positions: Map<string, Position>,
  print: (frame: MessageFrame, line: string) => boolean,
  signal: AbortSignal,
  onConnected: () => void,
): Promise<Outcome> {
  const target = webSocketBelow(url);
  const credentials = givenToken(tokenFile);
  const socket = new WebSocket(target, SUBPROTOCOL, { handshakeTimeout: OPEN_LIMIT_MS });
  return new Promise((resolve, reject) => {
    let why = "the connection was closed";
    const end = () => socket.close(1000);
    signal.addEventListener("abort", end, { once: true });
    const finish = (settle: () => void) => {
      clearTimeout(limit);
      signal.removeEventListener("abort", end);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.terminate();
      settle();
    };
    let limit: NodeJS.Timeout | undefined;
    const expectWithin = (ms: number, what: string) => {
      clearTimeout(limit);
      const silent = `no ${what} within ${formatDuration(ms)}`;
      limit = setTimeout(() => finish(() => resolve({ ended: false, why: silent })), ms);
    };
    /** The relay says something every `pingMs`: a connection that is half gone is silent for ever. */
    let silenceMs: number | undefined;
    expectWithin(OPEN_LIMIT_MS, "whole answer");
    socket.on("open", () => {
      expectWithin(OPEN_LIMIT_MS, "word of a relay");
      socket.send(
        JSON.stringify({
          op: "connect",
          ...(credentials === undefined ? {} : { token: credentials }),
          subscribe: channels.map((channel) => ({ channel, since: positions.get(channel) })),
        }),
      );
    });
    socket.on("message", (data) => {
      const line = data.toString();
      const frame = parseFrame(line);
      if (frame?.op === "connected" && frame.pingMs !== undefined) silenceMs = 2 * frame.pingMs;
      if (silenceMs === undefined) clearTimeout(limit);
      else expectWithin(silenceMs, "sign of life");
      if (!frame) {
        finish(() => reject(new CommandError(`${url}: what answers there is no relay`)));
      } else if (frame.op === undefined) {
        if (!print(frame, line)) finish(() => resolve({ ended: true }));
      } else if (frame.op === "ping") socket.send('{"op":"pong"}');
      else if (frame.op === "connected") onConnected();
      else if (frame.op === "subscribed") {
        if (positions.has(frame.channel) && !frame.recovered) {
          say(`${frame.channel}: messages may be missing`);
        }
        if (!frame.recovered) positions.set(frame.channel, { epoch: frame.epoch, seq: frame.seq });
      } else if (frame.op === "error") {
        const { code, message } = frame;
        const hint = code === "channel_forbidden" ? `; ${tokenHint(tokenFile, credentials)}` : "";
        finish(() => reject(new CommandError(`the relay refused: ${message} (${code})${hint}`)));
      }
    });
    socket.on("error", (error) => {
      why = reasonOf(error);
    });
    socket.on("close", (code, reason) =>
      finish(() => {
        if (signal.aborted) resolve({ ended: true });
        else if (code >= 4100 && code < 4300) {
          const hint = closeHint(code, tokenFile, credentials);
          reject(new CommandError(`the relay closed: ${code} ${reason.toString()}${hint}`));
        } else resolve({ ended: false, why: code === 1006 ? why : `closed with ${code}` });
      }),
    );
  });
}

function source(tokenFile: string | undefined): string {
  return tokenFile === undefined ? "the token of RTM_TOKEN" : "the token of --token-file";
}

/** What to do about a close code that is about rights; empty for others. */
function closeHint(code: number, tokenFile: string | undefined, token: string | undefined): string {
  if (token === undefined)
    return code === CLOSE.token_required ? `; ${tokenHint(tokenFile, token)}` : "";
  return code < 4200 ? `; it is ${source(tokenFile)}` : "";
}

/** What to do where a channel is not granted. */
function tokenHint(tokenFile: string | undefined, token: string | undefined): string {
  return token === undefined
    ? "no token was given: set RTM_TOKEN or --token-file (rtm token mint makes one), or name a channel of relay.publicChannels"
    : `rtm token explain says what ${source(tokenFile)} grants`;
}

/** Of several addresses that were tried, Node's error itself says nothing. */
function reasonOf(error: Error & { errors?: Error[] }): string {
  const tried = error.errors?.map(({ message }) => message) ?? [];
  const message = error.message || tried.join(", ");
  // OpenSSL's own words go on with places in its source.
  if (/ssl3_get_record|wrong version number/i.test(message)) {
    return "what answers there speaks no TLS: is it http:// instead of https://?";
  }
  return message.replace(
    /^Unexpected server response: (\d+)$/,
    "no WebSocket here: the server answered $1; is the path /ws passed to the relay, with the header Upgrade?",
  );
}

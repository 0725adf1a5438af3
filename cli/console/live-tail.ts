/**
 * The live tail of a channel, read from the history a few times a second: the relay's way of a message
 * knows nothing of it, and a channel that keeps no history shows nothing.
 */
import type { Inspection } from "../../relay/inspection.ts";
import type { TailNews } from "./contract.ts";
import type { EventStream } from "./event-stream.ts";

const INTERVAL_MS = 250;
/** Messages shown of what was before. */
const BEFORE = 20;
/** Messages of one event; a page shows no more. */
const MOST_MESSAGES = 100;
/** Of each payload. */
const PAYLOAD_BYTES = 2_048;

export interface LiveTailOptions {
  readonly channel: string;
  readonly payloads: boolean;
  readonly inspection: () => Inspection | undefined;
  readonly mayView: () => boolean;
}

/** Runs until the stream ends. */
export function runLiveTail(stream: EventStream, options: LiveTailOptions): void {
  const { channel, payloads, inspection, mayView } = options;
  let position = inspection()?.positionBehind(channel, BEFORE);
  const look = () => {
    const relay = inspection();
    if (!relay || !mayView()) {
      stream.end();
      return;
    }
    position ??= relay.positionBehind(channel, BEFORE);
    const found = relay.newsOf(channel, position, MOST_MESSAGES, payloads ? PAYLOAD_BYTES : 0);
    position = found.position;
    const { missed } = found;
    if (found.messages.length === 0 && missed === 0) return;
    const now = Date.now();
    const messages = found.messages.map(({ agoMs, ...message }) => ({
      ...message,
      at: Math.round(now - agoMs),
    }));
    const news: TailNews = { messages, missed };
    stream.send("news", JSON.stringify(news));
  };
  const timer = setInterval(look, INTERVAL_MS).unref();
  stream.onEnd(() => clearInterval(timer));
  stream.send("open", JSON.stringify({ channel, payloads }));
  look();
}

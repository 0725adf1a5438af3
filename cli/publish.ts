/** `rtm publish`: posts one message to a relay. */
import { text } from "node:stream/consumers";
import { messageOf } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { UsageError } from "./exit.ts";
import { type AskOptions, askRelay } from "./relay-api.ts";

export interface PublishOptions extends AskOptions {
  readonly event: string;
}

/** @param payload JSON text; `-` reads it from standard input. */
export async function publish(
  channel: string,
  payload: string,
  { event, ...to }: PublishOptions,
): Promise<void> {
  const json = payload === "-" ? await text(process.stdin) : payload;
  try {
    JSON.parse(json);
  } catch (error) {
    throw new UsageError(`the payload is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const names = JSON.stringify({ channel, eventName: event }).slice(0, -1);
  // Spliced, so that every digit of the payload survives.
  const body = `${names},"payload":${json}}`;
  const { text: said } = await askRelay({ path: "api/broadcast", scope: "publish", body }, to);
  process.stdout.write(`${printable(said)}\n`);
}

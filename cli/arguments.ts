/**
 * What arguments and flags of `rtm` may say. Each throws `InvalidArgumentError` with what is needed, which
 * commander prints with the name of the argument.
 */
import { InvalidArgumentError, Option } from "commander";
import { baseUrlProblem } from "../common/base-url.ts";
import { parseDuration } from "../common/units.ts";

/** Where `rtm tail` and `rtm publish` look for a relay, and where the demo has its own. */
export const DEFAULT_URL = "http://127.0.0.1:3000";

/** Digits only; no bound. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("a whole number is needed");
  return Number(text);
}

/** 0 to 65535. */
export function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port > 65_535) throw new InvalidArgumentError("a port is at most 65535");
  return port;
}

/** Entries of one answer, 1 to 1000. */
export function entryNumber(text: string): number {
  const entries = wholeNumber(text);
  if (entries < 1 || entries > 1000) throw new InvalidArgumentError("1 to 1000 are possible");
  return entries;
}

/** Nodes of a demo, 1 to 9. */
export function nodeNumber(text: string): number {
  const nodes = wholeNumber(text);
  if (nodes < 1 || nodes > 9) throw new InvalidArgumentError("1 to 9 nodes are possible");
  return nodes;
}

/** Longest life of a token, ms; the bound of relay.tokens.lifetime too. */
const MAX_DURATION_MS = 86_400_000;

/** Ms, from 1 s to 1 d. */
export function positiveDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000 || ms > MAX_DURATION_MS) {
    throw new InvalidArgumentError("a duration such as 15m is needed, from 1s to 1d");
  }
  return ms;
}

/** One of `values`, as it is written. */
export function oneOf<T extends string>(values: readonly T[]) {
  return (text: string): T => {
    if (!values.includes(text as T)) throw new InvalidArgumentError(`one of ${values.join(", ")}`);
    return text as T;
  };
}

/** 1 and more. */
export function messageNumber(text: string): number {
  const messages = wholeNumber(text);
  if (messages < 1) throw new InvalidArgumentError("1 or more are possible");
  return messages;
}

/** An http or https URL below which everything lies. */
export function relayBaseUrl(text: string): string {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError("a URL such as https://rtm.example.com is needed");
  }
  const problem = baseUrlProblem(text);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  return text;
}

/** `--url`, which RTM_URL sets too. */
export function urlOption(description: string, preset?: string): Option {
  const option = new Option("-u, --url <url>", description).env("RTM_URL").argParser(relayBaseUrl);
  return preset === undefined ? option : option.default(preset);
}

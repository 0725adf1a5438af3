/**
 * Listeners that must be told of a loss later: when the relay's log begins anew every page hears of
 * it in the same moment, and not all of them are to ask the database in the next one. What is due
 * stays due, whatever the relay answers meanwhile.
 */
import type { Listener } from "./listener.ts";

/** Longest spread that is believed, ms. */
const MOST_MS = 60_000;

/** Calls `tell` at a random moment (0 to 1) of the next `spreadMs`; at once when there is no spread. */
export function tellLoss(
  listener: Listener,
  spreadMs: number | undefined,
  moment: number,
  tell: () => void,
): void {
  if (spreadMs! > 0) {
    listener.due ??= setTimeout(() => {
      forgetLoss(listener);
      tell();
    }, moment * Math.min(spreadMs!, MOST_MS));
  } else {
    forgetLoss(listener);
    tell();
  }
}

export function forgetLoss(listener: Listener): void {
  clearTimeout(listener.due);
  listener.due = undefined;
}

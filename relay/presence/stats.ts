/** What presence counts, read when metrics are scraped. */
import { Tally } from "../node/stats.ts";

export class PresenceStats {
  /** Frames that were written, by what they say. */
  readonly frames = new Tally();
  /** Other nodes that this one found dead. */
  nodesGone = 0;
}

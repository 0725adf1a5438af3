/** The part of the configuration about events that clients send to each other (docs/protocol.md, Client events). */
import { z } from "zod";
import { count, size } from "../../common/schema.ts";
import { channelPattern } from "./names.ts";

export const clientEventsConfig = z.strictObject({
  channels: z
    .array(channelPattern)
    .default([])
    .describe(
      "Channels in which clients may send events to each other, where their tokens say so (claim publish): " +
        "names, or prefixes with a trailing *. Without one nobody may.",
    ),
  perSecond: count("Events per second that a connection may send in the long run.", 10, 1, 1000),
  channelPerSecond: count("The same for all senders of a channel on one node.", 200, 1, 100_000),
  bytes: size({ min: 64, max: 65_536 })
    .prefault("4KiB")
    .describe("Largest payload of an event, as JSON text."),
});

export type ClientEventsConfig = z.output<typeof clientEventsConfig>;

/**
 * What `POST /api/broadcast` answers (docs/protocol.md, REST): the relay writes it, `HttpPublisher`
 * reads it.
 */
import { z } from "zod";

/** The whole request was refused; nothing of it was published. */
export const broadcastRefusal = z.object({
  ok: z.literal(false),
  code: z.string(),
  message: z.string(),
});

/** The fate of one message. */
export const broadcastAnswer = z.union([
  z.object({
    ok: z.literal(true),
    id: z.string(),
    recipients: z.number().int().min(0),
    duplicate: z.boolean().optional(),
  }),
  broadcastRefusal,
]);

/** The answer to a list: `ok` when all are, and one result for each message in order. */
export const broadcastAnswers = z.object({ ok: z.boolean(), results: z.array(broadcastAnswer) });

export type BroadcastRefusal = z.output<typeof broadcastRefusal>;
export type BroadcastAnswer = z.output<typeof broadcastAnswer>;
export type BroadcastAnswers = z.output<typeof broadcastAnswers>;

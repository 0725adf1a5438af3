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

/** The fate of a control item. `durable` false: a crash of the relay would forget it. */
export const controlAnswer = z.union([
  z.object({ ok: z.literal(true), durable: z.literal(false).optional() }),
  broadcastRefusal,
]);

/** The answer to a list: `ok` when all are, and one result for each item in order. */
export const broadcastAnswers = z.object({ ok: z.boolean(), results: z.array(z.unknown()) });

export type BroadcastRefusal = z.output<typeof broadcastRefusal>;
export type BroadcastAnswer = z.output<typeof broadcastAnswer>;
export type ControlAnswer = z.output<typeof controlAnswer>;
/** Of an item, whatever it was. */
export type ItemAnswer = BroadcastAnswer | ControlAnswer;

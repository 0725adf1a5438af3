/** The port between whoever has messages and the relay. The worker knows nothing else of it. */
import type { ControlItem, ControlResult } from "./control.ts";
import type { Message } from "./message.ts";

/** Who hands messages over. */
export interface Source {
  /**
   * Stable name of the queue or of the API key, such as `queue:RTM.RTM_OUT` or `key:backend`: the
   * same for every process that may hand over the same message again. Ids are remembered per source,
   * so a busy source cannot push the ids of a quiet one out, and none can give another's id first.
   */
  readonly name: string;
  /**
   * Fencing token of the lease under which the batch was taken from its queue: a whole number that
   * each later holder of that lease exceeds. Once the log has seen a higher one of this source, a
   * batch with a lower one is answered `fenced`. Absent where no lease exists.
   */
  readonly fence?: number;
}

/** The fate of one message, in the order of the batch. */
export type PublishResult =
  /** The relay has it: in history, on its way. */
  | {
      readonly status: "accepted";
      /** Connections of the answering node that read the channel when it answers. */
      readonly recipients: number;
      /** True when this source gave the id before, inside the window: it was not sent again. */
      readonly duplicate?: boolean;
    }
  /** It can never be accepted; set it aside. `code` is one of docs/protocol.md, "Codes". */
  | { readonly status: "rejected"; readonly code: string; readonly message: string }
  /** The relay cannot take it now: hold it and try again. */
  | { readonly status: "unavailable"; readonly code: string; readonly message: string }
  /**
   * A later holder of the queue's lease has handed messages over. Drop the batch with the session that
   * dequeued it: the database delivers it to the holder.
   */
  | { readonly status: "fenced"; readonly code: string; readonly message: string };

/**
 * Hands messages over. Implemented by the relay in the same process and by `HttpPublisher` for a
 * relay on another host. One result per message, in order; no later message of a channel is accepted
 * behind one that is `unavailable` and will be tried again. It does not throw for a
 * message's sake; when the relay cannot be reached every result is `unavailable`.
 */
export interface Publisher {
  publish(batch: readonly Message[], source: Source): Promise<readonly PublishResult[]>;
  /**
   * Hands over what is no message, in order with the messages when each call is awaited. One result per
   * item, in order. Nothing that is accepted after the answer reaches whom an item cut off. All items
   * may be given again. A relay in the same process takes them also before it serves.
   */
  control(items: readonly ControlItem[], source: Source): Promise<readonly ControlResult[]>;
}

/**
 * Hands the parts of a batch over, one after the other. After the first that holds a message which
 * could not be taken none is tried: a later message must not overtake one that is tried again.
 * @param take one result per message of the part
 */
export async function inOrder<
  Part extends { readonly length: number },
  Result extends { readonly status: string },
>(
  parts: Iterable<Part>,
  take: (part: Part) => readonly Result[] | Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let down: Result | undefined;
  for (const part of parts) {
    if (down) {
      for (let left = part.length; left > 0; left--) results.push(down);
      continue;
    }
    const taken = take(part);
    for (const result of taken instanceof Promise ? await taken : taken) {
      if (result.status === "unavailable" || result.status === "fenced") down ??= result;
      results.push(result);
    }
  }
  return results;
}

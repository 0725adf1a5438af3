/** The port between whoever has messages and the relay. The worker knows nothing else of it. */
import type { Message } from "./message.ts";

/** The fate of one message, in the order of the batch. */
export type PublishResult =
  /** The relay has it: in history, on its way to `recipients` connections. */
  | {
      readonly status: "accepted";
      readonly recipients: number;
      /** True when the id was seen inside the duplicate window: it was not sent again. */
      readonly duplicate?: boolean;
    }
  /** It can never be accepted; set it aside. `code` is one of docs/protocol.md, "Codes". */
  | { readonly status: "rejected"; readonly code: string; readonly message: string }
  /** The relay cannot take it now: hold it and try again. */
  | { readonly status: "unavailable"; readonly code: string; readonly message: string };

/**
 * Hands messages over. Implemented by the relay in the same process and by `HttpPublisher` for a
 * relay on another host. One result per message, in order. It does not throw for a message's
 * sake; when the relay cannot be reached every result is `unavailable`.
 */
export interface Publisher {
  publish(batch: readonly Message[], signal?: AbortSignal): Promise<readonly PublishResult[]>;
}

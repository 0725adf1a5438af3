/**
 * Frames of `rtm.publish.v1`, the socket of servers (docs/protocol.md, "Publishing socket"). What a
 * `publish` frame carries, and what is answered for each item, is that of `POST /api/broadcast`.
 */
import type { Code } from "./protocol.ts";

export const PUBLISH_SUBPROTOCOL = "rtm.publish.v1";

export interface PublishLimits {
  /** Messages and control items in one frame. */
  readonly batchMessages: number;
  /** Bytes of `messages` in one frame. */
  readonly batchBytes: number;
  /** Largest encoded message, bytes. */
  readonly messageBytes: number;
}

export type PublisherFrame =
  /** `n` comes back with the answer: any whole number of the publisher's. */
  | { readonly op: "publish"; readonly n: number; readonly messages: readonly unknown[] }
  /** What was held back will be sent again: messages are taken from here on. */
  | { readonly op: "resume" };

export type PublishServerFrame =
  | {
      readonly op: "ready";
      readonly protocol: typeof PUBLISH_SUBPROTOCOL;
      /** So many frames may be unanswered; further ones are not read before others are answered. */
      readonly window: number;
      /** The relay pings so often, by frames of the WebSocket. */
      readonly pingMs: number;
      readonly limits: PublishLimits;
    }
  /** One answer per item, in order, as in the array that a POST gets. */
  | { readonly op: "results"; readonly n: number; readonly results: readonly unknown[] }
  /** Nothing of the frame was taken, nor is anything of later ones before `resume`. */
  | { readonly op: "refused"; readonly n: number; readonly code: Code; readonly message: string }
  | { readonly op: "error"; readonly code: Code; readonly message: string };

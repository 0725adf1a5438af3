/**
 * The other end of a client's connection, whatever carries it: what arrives there, and how the client is
 * sent away. What leaves goes over its wire.
 */
import type { Wire } from "../wire/wire.ts";

/** In the order of docs/metrics.md. */
export const PEER_KINDS = ["websocket", "stream", "poll", "sse"] as const;

export type PeerKind = (typeof PEER_KINDS)[number];

/** What a peer tells the connection that it belongs to. */
export interface PeerOwner {
  /** A whole frame of the client. */
  received(data: Buffer, isBinary: boolean): void;
  /** The client asks whether somebody is there, and gets `data` back. */
  pinged(data: Buffer): void;
  /** The client answered a ping of its wire. */
  ponged(): void;
  /** Nothing comes any more, and nothing can be sent. */
  ended(): void;
  /** @param breach the client's bytes break the rules of what carries them; the peer closes */
  failed(error: Error, breach: boolean): void;
}

export interface Peer {
  readonly kind: PeerKind;
  /** Whether its client says something every now and then; otherwise silence means nothing. */
  readonly answers: boolean;
  /** Of the client, behind trusted proxies; undefined when its socket was gone at once. */
  readonly address: string | undefined;
  readonly wire: Wire;
  /** Nothing comes any more, and nothing can be sent. */
  readonly gone: boolean;
  /** Hands what arrives to `owner` from now on; called once. */
  serve(owner: PeerOwner): void;
  /** Nothing is read until `resume`, or until it is dismissed. */
  pause(): void;
  resume(): void;
  /** The wire was closed. What the client may still send is bounded, and it has a while to go. */
  dismiss(): void;
  /** The wire was closed because the client sent too much: nothing more is read, and it goes at once. */
  silence(): void;
  /** Ends it without a word. */
  terminate(): void;
  /** `poll`: how long the client waits for news, ms; 0: it takes what there is. */
  hold?(waitMs: number): void;
}

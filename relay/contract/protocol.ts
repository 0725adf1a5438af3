/**
 * Frames, codes and close codes of `rtm.v1`. docs/protocol.md says what they mean; a test keeps
 * page and tables equal. The browser client imports from here, so this module imports nothing.
 */

export const SUBPROTOCOL = "rtm.v1";

/** How many messages of each event `last` may ask for. */
export const MAX_LAST = 10;

/**
 * Everything after message `seq` of `epoch`, or everything the relay accepted within `ageMs`. `last`: the
 * newest so many messages of each event, alone or where the position cannot be recovered.
 */
export type Since =
  | { readonly epoch: string; readonly seq: number; readonly last?: number | undefined }
  | { readonly ageMs: number }
  | { readonly last: number };

/** What of the newest messages follows an answer. */
export interface Last {
  /** So many messages follow, with their own `seq`, in its order. */
  readonly sent: number;
  /** They are the newest of each event in this epoch, and each event of a filter is among them. */
  readonly complete: boolean;
}

/** Whether to be seen by others in the channel, and whether to see them. */
export interface PresenceWish {
  readonly join?: boolean | undefined;
  readonly watch?: boolean | undefined;
}

/** How many events an entry of `subscribe`, or a URL, may name. */
export const MAX_EVENTS = 20;

export interface SubscribeRequest {
  readonly channel: string;
  readonly since?: Since | undefined;
  /** Only messages of these events are wanted, at most `MAX_EVENTS`; absent: all. */
  readonly events?: readonly string[] | undefined;
  readonly presence?: PresenceWish | undefined;
}

export type ClientFrame =
  | {
      readonly op: "connect";
      readonly token?: string | undefined;
      /** In place of `token`: several; each but the first is answered like `refresh`. */
      readonly tokens?: readonly string[] | undefined;
      /** `POST /poll`: how long to wait for news, ms. */
      readonly waitMs?: number | undefined;
      readonly subscribe?: readonly SubscribeRequest[] | undefined;
    }
  | {
      readonly op: "subscribe";
      readonly subscribe: readonly SubscribeRequest[];
      readonly token?: string | undefined;
    }
  | { readonly op: "unsubscribe"; readonly channels: readonly string[] }
  | { readonly op: "refresh"; readonly token: string }
  /** An event for the other clients of the channel; `ref` comes back with the answer. */
  | {
      readonly op: "publish";
      readonly channel: string;
      readonly eventName: string;
      readonly payload?: unknown;
      readonly ref?: string | undefined;
    }
  | { readonly op: "pong" };

export interface Limits {
  /** Largest client frame, bytes. */
  readonly frameBytes: number;
  /** Largest encoded message, bytes. */
  readonly messageBytes: number;
  /** Channels per connection. */
  readonly channels: number;
}

/** Of events that a client sends. */
export interface EventLimits {
  /** Largest payload, bytes of JSON text. */
  readonly bytes: number;
  /** In the long run; twice as many may come in a burst. */
  readonly perSecond: number;
}

export type ServerFrame =
  | {
      readonly op: "connected";
      readonly protocol: typeof SUBPROTOCOL;
      readonly pingMs: number;
      readonly expiresInMs: number | null;
      readonly limits: Limits;
      /** Names the connection in events that it sends; only where clients may send some. */
      readonly conn?: string;
      /** How many and how large; with `conn`. */
      readonly events?: EventLimits;
    }
  | { readonly op: "published"; readonly ref: string }
  | { readonly op: "refreshed"; readonly expiresInMs: number }
  | {
      readonly op: "subscribed";
      readonly channel: string;
      readonly epoch: string;
      readonly seq: number;
      readonly recovered: boolean;
      /** Where `last` was asked for and nothing else is recovered. */
      readonly last?: Last;
      /** The filter that is in force; absent: none. */
      readonly events?: readonly string[];
      /** Under which id others see the subscriber, where it asked for that. */
      readonly user?: string;
      /**
       * Only in an answer that nobody asked for: every subscriber gets one now, so whoever refreshes
       * waits a random part of this time first, ms.
       */
      readonly spreadMs?: number;
    }
  | { readonly op: "unsubscribed"; readonly channel: string; readonly code?: Code }
  /** With a filter: all that the client wants up to `seq`, of the epoch of `subscribed`, was sent. */
  | { readonly op: "position"; readonly channel: string; readonly seq: number }
  | {
      readonly op: "error";
      readonly code: Code;
      readonly message: string;
      readonly channel?: string;
      /** Of the frame that it answers. */
      readonly ref?: string;
    }
  | ClientEventFrame
  | MembersFrame
  | PresenceFrame
  | { readonly op: "ping" }
  /** Streams and polls, which have no close frame. */
  | { readonly op: "close"; readonly code: number; readonly reason: string };

/** How the names of events begin that clients send, so that no page takes them for a server's. */
export const CLIENT_EVENT_PREFIX = "client:";

/** What another client sends: no message, never stored. */
export interface ClientEventFrame {
  readonly op: "event";
  readonly channel: string;
  readonly eventName: string;
  readonly from: { readonly user?: string; readonly conn: string };
  /** When the relay took it, ms since 1970 UTC. */
  readonly ts: number;
  readonly payload: unknown;
}

/** What `POST /poll` answers. */
export interface PollAnswer {
  readonly frames: readonly (ServerFrame | MessageFrame)[];
  /** There is more at once. */
  readonly more: boolean;
}

/** Who is seen in a channel. */
export interface MemberEntry {
  readonly user: string;
  readonly info?: Readonly<Record<string, unknown>>;
  /** Of the user, on all nodes. */
  readonly connections: number;
}

/** All members: replaces what was known. */
export interface MembersFrame {
  readonly op: "members";
  readonly channel: string;
  readonly count: number;
  readonly members: readonly MemberEntry[];
  /** Another frame follows at once with the next ones. */
  readonly more: boolean;
  /** So long some may be missing who were there before: keep those that are known. */
  readonly settleMs?: number;
}

/** What has changed, or only how many there are. */
export type PresenceFrame =
  | {
      readonly op: "presence";
      readonly channel: string;
      readonly count: number;
      readonly left: readonly string[];
      /** Also who shows something else of itself. */
      readonly joined: readonly MemberEntry[];
    }
  | {
      readonly op: "presence";
      readonly channel: string;
      readonly count: number;
      /** There are too many to be listed: forget who is known. */
      readonly listed: false;
    };

/** A message as it arrives at a client: the only server frame without `op`. */
export interface MessageFrame {
  readonly channel: string;
  readonly eventName: string;
  readonly payload: unknown;
  readonly id: string;
  readonly seq: number;
  readonly ts: number;
}

/** WebSocket close codes: 40xx reconnect, 41xx new token, 42xx stop. */
export const CLOSE = {
  going_away: 4000,
  slow_client: 4001,
  heartbeat_timeout: 4002,
  connect_timeout: 4003,
  too_many_connections: 4004,
  standby: 4005,
  rate_limited: 4006,
  disconnected: 4007,
  stream_ended: 4008,
  token_expired: 4100,
  token_invalid: 4101,
  token_required: 4102,
  token_revoked: 4103,
  protocol_error: 4200,
  binary_frame: 4201,
  origin_not_allowed: 4202,
  forbidden: 4203,
  bad_request: 4204,
  not_recovered: 4205,
  token_limit: 4206,
  ended: 4207,
} as const;

/** The name of a close code, as metrics and log lines have it. */
export type CloseName = keyof typeof CLOSE;

/**
 * Request header of `POST /api/broadcast` with the value `keep`: whoever sends it needs its own ids
 * kept, so the relay refuses the body instead of making ids for a key that is not trusted.
 */
export const IDS_HEADER = "x-rtm-ids";

/** Codes of `error` and `unsubscribed` frames and of REST answers. */
export const CODES = [
  "bad_frame",
  "unknown_op",
  "bad_channel",
  "bad_event_name",
  "bad_since",
  "bad_id",
  "bad_ts",
  "bad_retain",
  "bad_json",
  "bad_control",
  "bad_query",
  "message_too_large",
  "batch_too_large",
  "channel_forbidden",
  "key_not_trusted",
  "presence_forbidden",
  "presence_limit",
  "publish_forbidden",
  "publish_limit",
  "scope_missing",
  "too_many_channels",
  "too_many_connections",
  "token_expired",
  "token_invalid",
  "token_subject_mismatch",
  "token_limit",
  "token_revoked",
  "unauthorized",
  "too_many_refusals",
  "unsupported_media_type",
  "rate_limited",
  "unavailable",
  "internal_error",
] as const;

export type Code = (typeof CODES)[number];

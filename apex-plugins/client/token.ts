/** Tokens: where they come from, when they end. */

/** Thrown (or rejected with) by a token provider when no further token will come: the client stops. */
export class StopError extends Error {
  override readonly name = "RtmStopError";
  readonly code: string;

  /** `code` names the reason in the status event, for example `session_ended`. */
  constructor(code: string) {
    super(`rtm: no further token: ${code}`);
    this.code = code;
  }
}

/** By name, because a page may load two copies of this module. */
export function isStop(error: unknown): error is StopError {
  return error instanceof Error && error.name === "RtmStopError";
}

/**
 * Called when a token is needed. `reason` is `initial`, `renew` (the present one ends soon) or a
 * code of docs/protocol.md. It may take as long as it likes: what the old token granted ends when
 * it ends, and the client goes on when the new one arrives. It should give up on `signal`.
 */
export type TokenProvider = (reason: string, signal: AbortSignal) => string | Promise<string>;

export interface TokenOptions {
  /** A token at hand, for example one minted while the page was rendered. */
  readonly initial?: string | undefined;
  /** Without it the client stops when the initial token has ended. */
  readonly renew?: TokenProvider | undefined;
}

export class TokenSource {
  readonly renew: TokenProvider | undefined;
  token: string | undefined;
  /** The token the present socket has taken. */
  presented: string | undefined;
  /** Never asked again: its tokens belong to another subject, or it cannot renew. */
  dead = false;
  fetching = false;
  failures = 0;
  /** Refusals of tokens one after the other, for the backoff. */
  refusals = 0;
  /** When the relay took the present token, and when it ends; ms of the page's clock. */
  acceptedAt = 0;
  endsAt = Number.POSITIVE_INFINITY;
  timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: TokenOptions) {
    this.renew = options.renew;
    this.token = options.initial;
  }

  get usable(): boolean {
    return this.token !== undefined && !this.dead && Date.now() < this.endsAt;
  }

  /** Nobody needs it at present: no renewal. The token stays for the next subscription. */
  rest(): void {
    clearTimeout(this.timer);
  }

  /** The token was refused or has ended. */
  drop(): void {
    this.token = undefined;
    this.presented = undefined;
    this.endsAt = Number.POSITIVE_INFINITY;
    clearTimeout(this.timer);
  }
}

/** How tokens are refused and rights end, as a client is told. */
import type { TokenRefusal } from "../access/claims.ts";
import type { CloseName } from "../contract/protocol.ts";

/** How rights end. */
export type RightsEndCode = Extract<CloseName, "token_expired" | "token_revoked">;

/** For a connection that has nothing left. */
export const RIGHTS_END_REASONS: Readonly<Record<RightsEndCode, string>> = {
  token_expired: "the token has ended",
  token_revoked: "the token was revoked",
};

/** Why a token was refused: for a frame, and for a connection that has no other. */
export interface TokenProblem {
  readonly code: TokenRefusal | "token_subject_mismatch" | "too_many_connections";
  readonly close: CloseName;
  readonly message: string;
}

/** How a connection is closed that has no other token. */
export const CLOSES: Readonly<Record<TokenProblem["code"], CloseName>> = {
  token_expired: "token_expired",
  token_invalid: "token_invalid",
  token_limit: "token_limit",
  token_revoked: "token_revoked",
  token_subject_mismatch: "forbidden",
  too_many_connections: "too_many_connections",
};

/** Why, where the token itself is sound. */
export const TOKEN_REFUSALS = {
  token_subject_mismatch: "the token is of another subject than the connection's first one",
  token_limit: "more tokens than limits.channels, or channels of tokens than limits.tokenChannels",
  token_revoked: "the token was revoked",
  too_many_connections: "the user has limits.connectionsPerSubject connections",
} as const;

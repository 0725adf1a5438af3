/** The root of all errors, and what is asked of any. */

/**
 * The root of every error this project throws on purpose.
 *
 * `code` is stable and public: each one has a section in `docs/errors.md` (a test keeps both equal),
 * so a log line leads to a remedy. `cause` keeps the error underneath.
 */
export class RtmError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The message of anything that was thrown, for a log line or a wrapped error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Errors of the database, as the emulator raises them. */

/** An error of the database: the client sees `ORA-nnnnn: text` with this number. */
export class OraError extends Error {
  readonly number: number;

  /** @param number without the ORA- prefix, e.g. 20120; @param text the words after the colon. */
  constructor(number: number, text: string) {
    super(`ORA-${String(number).padStart(5, "0")}: ${text}`);
    this.name = "OraError";
    this.number = number;
  }
}

/** The errors that more than one part of the emulator raises. Texts as the documentation has them. */
export const ora = {
  cancelled: () => new OraError(1013, "user requested cancel of current operation"),
  sessionKilled: () => new OraError(28, "your session has been killed"),
  unsupported: (what: string) =>
    new OraError(3001, `unimplemented feature (the emulator has no ${what})`),
  noMessages: (queue: string) =>
    new OraError(25228, `timeout or end-of-fetch during message dequeue from ${queue}`),
};

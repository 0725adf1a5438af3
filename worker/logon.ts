/**
 * Every logon of the process goes through here, one after the other, so that a wrong password is
 * tried once and then rarely: an account is locked after a few failures (FAILED_LOGIN_ATTEMPTS, 10
 * in Oracle's default profile), and several queues would use them up at once.
 */
import { hostname } from "node:os";
import type oracledb from "oracledb";
import { sleep } from "../common/backoff.ts";
import { messageOf, RtmError } from "../common/errors.ts";
import { readSecretFile, SecretFileError } from "../common/secret-file.ts";
import type { DatabaseConfig } from "./config.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import { type OpenOptions, Session } from "./session.ts";

const MINUTE = 60_000;
/** A logon that takes longer holds up nobody: the database hangs, and refuses no password. */
const TURN_MS = 2_000;

/** First and longest wait after a logon was refused, ms; it doubles from one to the other. */
const REFUSALS: ReadonlyMap<string, readonly [firstMs: number, longestMs: number]> = new Map([
  ["ORA-01017", [5 * MINUTE, 60 * MINUTE]],
  ["ORA-01005", [5 * MINUTE, 60 * MINUTE]],
  // These count no failure: they are over as soon as the DBA has done something.
  ["ORA-28000", [MINUTE, 10 * MINUTE]],
  ["ORA-28001", [MINUTE, 10 * MINUTE]],
  ["ORA-01045", [MINUTE, 10 * MINUTE]],
]);

/** The database refused the credentials, just now or lately; `cause` is its error. */
export class LogonRefusedError extends RtmError {
  constructor(cause: unknown, waitMs: number) {
    super(
      "RTM_LOGON_REFUSED",
      `${messageOf(cause).split("\n")[0]}; the next logon is in ${Math.ceil(waitMs / 1000)} s, or as soon as the password changes`,
      { cause },
    );
  }
}

interface Refusal {
  readonly error: unknown;
  readonly secret: string;
  readonly count: number;
  readonly until: number;
}

/**
 * Opens sessions, one logon at a time. A refused password is tried again after minutes only, or
 * when it has changed: the account would be locked.
 */
export class Logon {
  readonly #database: DatabaseConfig;
  #turn: Promise<unknown> = Promise.resolve();
  #refusal: Refusal | undefined;

  constructor(database: DatabaseConfig) {
    this.#database = database;
  }

  /** @throws `LogonRefusedError`, `SecretFileError`, and what `Session.open` throws. */
  async open(options: OpenOptions): Promise<Session> {
    const before = this.#turn;
    let end!: () => void;
    this.#turn = new Promise<void>((resolve) => {
      end = resolve;
    });
    try {
      const impatient = new AbortController();
      const patience = sleep(TURN_MS, impatient.signal).catch(() => {});
      await Promise.race([before, patience]);
      impatient.abort();
      return await this.#open(options);
    } finally {
      end();
    }
  }

  async #open(options: OpenOptions): Promise<Session> {
    const attributes = connectionAttributes(this.#database, secretsOf(this.#database));
    const secret = JSON.stringify([attributes.password, attributes.walletPassword]);
    const refusal = this.#refusal?.secret === secret ? this.#refusal : undefined;
    const leftMs = (refusal?.until ?? 0) - performance.now();
    if (refusal && leftMs > 0) throw new LogonRefusedError(refusal.error, leftMs);
    try {
      const session = await Session.open(attributes, this.#database, options);
      this.#refusal = undefined;
      return session;
    } catch (error) {
      const bounds = REFUSALS.get(classifyOracleError(error).code);
      if (!bounds) throw error;
      const count = (refusal?.count ?? 0) + 1;
      const waitMs = Math.min(bounds[1], bounds[0] * 2 ** (count - 1));
      this.#refusal = { error, secret, count, until: performance.now() + waitMs };
      throw new LogonRefusedError(error, waitMs);
    }
  }
}

function secret(value: string | undefined, file: string | undefined, member: string) {
  if (file === undefined) return value;
  try {
    return readSecretFile(file);
  } catch (error) {
    throw new SecretFileError(`${member}: ${messageOf(error)}`, { cause: error });
  }
}

/** Secrets of a logon, read from their files. */
export interface LogonSecrets {
  readonly password?: string | undefined;
  readonly walletPassword?: string | undefined;
}

function secretsOf(database: DatabaseConfig): LogonSecrets {
  return {
    password: secret(database.password, database.passwordFile, "database.passwordFile"),
    walletPassword: secret(
      database.walletPassword,
      database.walletPasswordFile,
      "database.walletPasswordFile",
    ),
  };
}

/** How to log on by this configuration; `user` may be another than the worker's. */
export function connectionAttributes(
  database: Omit<DatabaseConfig, keyof LogonSecrets>,
  { password, walletPassword }: LogonSecrets,
): oracledb.ConnectionAttributes {
  const { configDir, walletLocation } = database;
  return {
    connectString: database.connectString,
    ...(database.externalAuth
      ? { externalAuth: true }
      : { user: database.user, password: password ?? "" }),
    ...(configDir === undefined ? {} : { configDir }),
    ...(walletLocation === undefined ? {} : { walletLocation }),
    ...(walletPassword === undefined ? {} : { walletPassword }),
    connectTimeout: Math.ceil(database.connectTimeout / 1000),
    expireTime: Math.max(1, Math.round(database.expireTime / MINUTE)),
    // Only network-safe characters may appear in these.
    program: "apex-rtm",
    machine: hostname().replace(/[^A-Za-z0-9_.-]/g, "_"),
  };
}

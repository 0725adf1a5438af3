/** `rtm db`: logs on as the schema that owns the database side, and runs one of its scripts or checks. */
import { buffer } from "node:stream/consumers";
import type { ConnectionAttributes } from "oracledb";
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { readSecretFile, secretOf } from "../../common/secret-file.ts";
import { connectionAttributes } from "../../worker/logon.ts";
import { readConfig } from "../config.ts";
import { CommandError, EXIT } from "../exit.ts";
import { placeTexts } from "../oracle-places.ts";
import { type DatabaseVerb, runDatabaseVerb } from "./db.ts";
import { dryRun, type VerifyOptions, verifyDatabase } from "./verify.ts";

export interface DatabaseVerbOptions {
  readonly config?: string;
  /** The owner; default database.user. */
  readonly user?: string;
  /** File with the owner's password, `-` for standard input. */
  readonly passwordFile?: string;
  /** `status` as JSON. */
  readonly json?: boolean;
}

/** Where the database is comes from the configuration; who logs on may differ from the worker. */
async function logonOf({
  config,
  user,
  passwordFile,
}: DatabaseVerbOptions): Promise<ConnectionAttributes> {
  const { database } = readConfig(config, { relay: false });
  if (database.connectString === "") {
    throw new ConfigError([
      "database.connectString is needed: in the file of --config or RTM_DATABASE_CONNECT_STRING",
    ]);
  }
  const places = placeTexts(database);
  if (places.length > 0) throw new ConfigError(places);
  if (user !== undefined && passwordFile === undefined) {
    throw new CommandError("--user needs --password-file: a file, or - for standard input");
  }
  if (user === undefined && database.user === "" && !database.externalAuth) {
    throw new ConfigError(["database.user is needed, or --user with --password-file"]);
  }
  const secret = (value: string | undefined, file: string | undefined) =>
    file === undefined ? value : readSecret(file);
  const walletPassword = await secret(database.walletPassword, database.walletPasswordFile);
  if (database.externalAuth && user === undefined) {
    return connectionAttributes(database, { walletPassword });
  }
  return connectionAttributes(
    { ...database, externalAuth: false, user: user ?? database.user },
    {
      walletPassword,
      password: await secret(database.password, passwordFile ?? database.passwordFile),
    },
  );
}

async function readSecret(file: string): Promise<string> {
  try {
    return file === "-"
      ? secretOf(await buffer(process.stdin), "standard input")
      : readSecretFile(file);
  } catch (error) {
    throw new CommandError(`the password: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws {ConfigError} @throws {CommandError} */
export async function databaseVerb(
  verb: DatabaseVerb,
  options: DatabaseVerbOptions,
): Promise<void> {
  const format = options.json ? "json" : "text";
  await runDatabaseVerb(verb, await logonOf(options), { format });
}

export interface DatabaseVerifyOptions extends DatabaseVerbOptions, VerifyOptions {
  /** Says what would be made, and does nothing. */
  readonly dryRun?: boolean;
}

/** Returns the exit code. @throws {ConfigError} @throws {CommandError} */
export async function databaseVerify(options: DatabaseVerifyOptions): Promise<number> {
  if (options.dryRun) {
    process.stdout.write(`${dryRun()}\n`);
    return EXIT.ok;
  }
  return verifyDatabase(await logonOf(options), options);
}

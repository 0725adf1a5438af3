/** Schemas of their own on a real Oracle, for the tests of the database side. */
import { randomBytes } from "node:crypto";
import oracledb, { type BindParameters, type Connection, type Result } from "oracledb";
import { runDatabaseVerb } from "../../cli/db/db.ts";
import { messageOf } from "../../common/errors.ts";
import { type Decoded, decode, withCheckedText } from "../../worker/decode.ts";
import type { OracleAccess } from "../oracle-contract/target.ts";

/** What sql/grants/owner.sql grants, as far as the test user may pass it on (oracle-free.sql). */
const OWNER_GRANTS = [
  "create session, create table, create view, create procedure, create sequence, create trigger, create job",
  "execute on sys.dbms_aq",
  "execute on sys.dbms_aqadm",
  "execute on sys.dbms_lock",
  "execute on sys.dbms_crypto",
];
/** 23ai only; refused elsewhere. */
const MLE_GRANTS = ["create mle", "execute on javascript"];

export interface QueuedMessage {
  readonly id: string;
  readonly channel: string;
  readonly eventName: string;
  readonly payload: string;
  readonly ts: number;
  readonly retain?: number;
  readonly claimed: boolean;
}

export class OracleSchema implements AsyncDisposable {
  readonly name: string;
  readonly logon: { connectString: string; user: string; password: string };
  readonly #admin: Connection;
  readonly #connections: Connection[] = [];

  private constructor(admin: Connection, name: string, logon: OracleSchema["logon"]) {
    this.#admin = admin;
    this.name = name;
    this.logon = logon;
  }

  /** A new user with the given grants; by default what the installation can use. */
  static async create(access: OracleAccess, grants?: readonly string[]): Promise<OracleSchema> {
    const admin = await oracledb.getConnection(access);
    const name = `RTM_S_${randomBytes(5).toString("hex")}`.toUpperCase();
    const password = `Rtm_${randomBytes(9).toString("hex")}`;
    await admin.execute(`create user ${name} identified by "${password}" quota unlimited on users`);
    for (const grant of grants ?? OWNER_GRANTS) await admin.execute(`grant ${grant} to ${name}`);
    for (const grant of grants ? [] : MLE_GRANTS) {
      await admin.execute(`grant ${grant} to ${name}`).catch(() => {});
    }
    const logon = { connectString: access.connectString, user: name, password };
    return new OracleSchema(admin, name, logon);
  }

  /** Runs a verb of `rtm db` and returns what it printed. */
  async run(verb: "install" | "uninstall" | "status"): Promise<string> {
    const lines: string[] = [];
    await runDatabaseVerb(verb, this.logon, { print: (line) => void lines.push(line) });
    return lines.join("\n");
  }

  async connect(): Promise<Connection> {
    const connection = await oracledb.getConnection(this.logon);
    this.#connections.push(connection);
    return connection;
  }

  async asAdmin(sql: string): Promise<void> {
    await this.#admin.execute(sql);
  }

  /** Grants what MLE needs, and tries it. Returns why this database cannot run it. */
  async grantMle(): Promise<string | undefined> {
    const own = await this.connect();
    try {
      for (const grant of MLE_GRANTS) await this.asAdmin(`grant ${grant} to ${this.name}`);
      await own.execute(
        "create mle module t_mle language javascript as export function one() { return 1; }",
      );
      await own.execute(
        "create function t_mle_one return number as mle module t_mle signature 'one()';",
      );
      const one = await value(own, "select t_mle_one from dual");
      await own.execute("drop function t_mle_one");
      await own.execute("drop mle module t_mle");
      return one === 1 ? undefined : `an MLE function returned ${one}`;
    } catch (error) {
      return messageOf(error);
    } finally {
      await own.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection.close().catch(() => {});
    const own = await oracledb.getConnection(this.logon);
    const queueTables = await rows<[string]>(own, "select queue_table from user_queue_tables");
    for (const [table] of queueTables) {
      await own.execute(
        "begin dbms_aqadm.drop_queue_table(queue_table => :name, force => true); end;",
        { name: table },
      );
    }
    await own.close();
    await this.#admin.execute(`drop user ${this.name} cascade`);
    await this.#admin.close();
  }
}

export async function rows<T>(
  connection: Connection,
  sql: string,
  binds: BindParameters = {},
): Promise<T[]> {
  const result = await connection.execute<T>(sql, binds, {
    fetchTypeHandler: ({ dbType }) =>
      dbType === oracledb.DB_TYPE_CLOB ? { type: oracledb.STRING } : undefined,
  });
  return (result.rows ?? []) as T[];
}

export async function value<T>(
  connection: Connection,
  sql: string,
  binds: BindParameters = {},
): Promise<T> {
  const [row] = await rows<[T]>(connection, sql, binds);
  if (row === undefined) throw new Error(`no row: ${sql}`);
  return row[0];
}

/** Asks once for the lease of our queue. @param consumer only for this one's */
export async function acquireLease(
  connection: Connection,
  consumer: string | null = null,
): Promise<string | undefined> {
  const { outBinds } = await connection.execute<{ outcome: string }>(
    "begin :outcome := rtm_worker_api.acquire_lease(rtm_aq.queue_name, 0, :consumer); end;",
    { outcome: { dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize: 30 }, consumer },
  );
  return outBinds?.outcome;
}

/** Calls websocket_api.broadcast; the caller commits. */
export async function broadcast(
  connection: Connection,
  channel: string,
  payload: string | null,
  onError: "RAISE" | "LOG" | null = null,
): Promise<void> {
  await connection.execute(
    "begin websocket_api.broadcast(:channel, 'event', :payload, :on_error); end;",
    {
      channel,
      payload: { val: payload, type: oracledb.CLOB, dir: oracledb.BIND_IN },
      on_error: onError,
    },
  );
}

/** Everything that is committed on RTM_QUEUE, dequeued through the driver and committed. */
export async function drain(connection: Connection, owner: string): Promise<QueuedMessage[]> {
  const queue = await connection.getQueue(`${owner}.RTM_QUEUE`);
  queue.deqOptions.wait = oracledb.AQ_DEQ_NO_WAIT;
  queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
  const found: QueuedMessage[] = [];
  for (;;) {
    const message = await queue.deqOne();
    if (message === undefined) break;
    const id = message.msgId.toString("hex");
    const body = { kind: "bytes", bytes: message.payload as Buffer } as const;
    const decoded = decode({ id, attempts: message.numAttempts, body }, undefined, 0);
    found.push(await resolve(connection, owner, decoded));
  }
  await connection.commit();
  return found;
}

async function resolve(connection: Connection, owner: string, decoded: Decoded) {
  const claimed = decoded.kind === "claim";
  const resolved = claimed
    ? withCheckedText(decoded, await claimText(connection, owner, decoded.checkId))
    : decoded;
  if (resolved.kind === "poison") throw new Error(resolved.poison.reason);
  if (resolved.kind === "control") throw new Error(`an item ${resolved.item.op}, no message`);
  return { ...resolved.message, claimed };
}

interface ClaimAnswer {
  pieces: string[];
  next: number | null;
}

/** Reads a claim check and deletes it, as the worker does. */
async function claimText(connection: Connection, owner: string, claimId: string): Promise<string> {
  let text = "";
  for (let offset: number | null = 1; offset !== null; ) {
    const { outBinds }: Result<ClaimAnswer> = await connection.execute<ClaimAnswer>(
      `begin ${owner}.rtm_worker_api.claim(:claim, :offset, :pieces, :next); end;`,
      {
        claim: claimId,
        offset,
        pieces: {
          dir: oracledb.BIND_OUT,
          type: oracledb.STRING,
          maxSize: 32_767,
          maxArraySize: 32,
        },
        next: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
      },
    );
    if (outBinds === undefined) throw new Error("claim returned nothing");
    text += outBinds.pieces.join("");
    offset = outBinds.next;
  }
  await connection.execute(`begin ${owner}.rtm_worker_api.delete_claims(:ids); end;`, {
    ids: { dir: oracledb.BIND_IN, type: oracledb.STRING, maxSize: 128, val: [claimId] },
  });
  return text;
}

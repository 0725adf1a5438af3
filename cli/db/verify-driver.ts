/**
 * The checks of `rtm db verify` that need more than one session, or the driver: what is committed
 * reaches another session byte for byte, what is rolled back does not, claim checks, the lease. They
 * run against the emulator too, except for those that need PL/SQL.
 */
import oracledb, { type Connection } from "oracledb";
import { messageOf } from "../../common/errors.ts";
import { withCheckedText } from "../../worker/decode.ts";
import { oraCode } from "../../worker/oracle-errors.ts";
import { browse, type Found, type OwnQueue, take } from "./verify-messages.ts";
import { SkipCheck, type VerifyReport } from "./verify-report.ts";

export interface Installed extends OwnQueue {
  readonly databaseVersion: string;
  readonly schemaVersion: string;
  readonly leasePossible: boolean;
}

export interface DriverChecks {
  /** Opens one more session of the owner; the caller closes all. */
  readonly open: () => Promise<Connection>;
  readonly installed: Installed;
  /** Of this run only. */
  readonly channel: string;
}

const EVENT = "verify";
/** RTM_WATCH: CREATE TRIGGER is not granted. */
const MISSING_GRANT = "ORA-20143";
/** Until an UPDATE surely waits for a row, ms. */
const RESTART_WAIT_MS = 1_000;
const outNumber = { dir: oracledb.BIND_OUT, type: oracledb.NUMBER };
const outText = (maxSize: number) => ({ dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize });

/** @throws the driver's error when RTM_WORKER_API is not there */
export async function installedIn(connection: Connection): Promise<Installed> {
  const { outBinds } = await connection.execute<Record<string, string | number>>(
    "begin rtm_worker_api.versions(:api, :schema, :db, :queue, :kind, :lease, :now); end;",
    {
      api: outNumber,
      schema: outText(128),
      db: outText(256),
      queue: outText(261),
      kind: outText(30),
      lease: outNumber,
      now: outNumber,
    },
  );
  const out = outBinds as Record<string, string | number>;
  return {
    databaseVersion: String(out.db),
    schemaVersion: String(out.schema),
    name: String(out.queue),
    kind: out.kind === "JSON" ? "JSON" : "RAW",
    leasePossible: out.lease === 1,
  };
}

async function broadcast(connection: Connection, channel: string, payload: string): Promise<void> {
  await connection.execute(
    "begin websocket_api.broadcast_item(:key, :url, :channel, :event, :payload); end;",
    {
      key: null,
      url: null,
      channel,
      event: EVENT,
      payload: { val: payload, type: oracledb.CLOB, dir: oracledb.BIND_IN },
    },
  );
}

async function acquireLease(connection: Connection, queueName: string): Promise<string> {
  const { outBinds } = await connection.execute<{ outcome: string }>(
    "begin :outcome := rtm_worker_api.acquire_lease(:queue, :seconds); end;",
    { outcome: outText(30), queue: queueName, seconds: 0 },
  );
  return outBinds?.outcome ?? "";
}

async function claimText(connection: Connection, claimId: string): Promise<string> {
  let text = "";
  for (let offset: number | null = 1; offset !== null; ) {
    const answer: oracledb.Result<{ pieces: string[]; next: number | null }> =
      await connection.execute<{ pieces: string[]; next: number | null }>(
        "begin rtm_worker_api.claim(:claim, :offset, :pieces, :next); end;",
        {
          claim: claimId,
          offset,
          pieces: { ...outText(32_767), maxArraySize: 32 },
          next: outNumber,
        },
      );
    text += answer.outBinds?.pieces.join("") ?? "";
    offset = answer.outBinds?.next ?? null;
  }
  return text;
}

async function deleteClaim(connection: Connection, claimId: string): Promise<void> {
  await connection.execute("begin rtm_worker_api.delete_claims(:ids); end;", {
    ids: { dir: oracledb.BIND_IN, type: oracledb.STRING, maxSize: 128, val: [claimId] },
  });
}

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** Runs every check; they stop at nothing and leave nothing on the queue. */
export async function checkThroughDriver(
  { open, installed, channel }: DriverChecks,
  report: VerifyReport,
): Promise<void> {
  const writer = await open();
  const reader = await open();
  let workerIsActive = false;

  await report.check("the lease is one session's, and ends with it", async () => {
    if (!installed.leasePossible) throw new SkipCheck("no EXECUTE on DBMS_LOCK");
    const holder = await open();
    if ((await acquireLease(holder, installed.name)) === "BUSY") {
      workerIsActive = true;
      return "a worker holds it";
    }
    try {
      const second = await acquireLease(reader, installed.name);
      expect(second === "BUSY", `a second session got ${second}`);
    } finally {
      await holder.close();
    }
    const third = await acquireLease(reader, installed.name);
    expect(third === "ACQUIRED", `after the holder's end a session got ${third}`);
    await reader.execute("begin rtm_worker_api.release_lease(:queue); end;", {
      queue: installed.name,
    });
    return undefined;
  });

  const committed = () => browse(reader, installed, channel);
  /** The one message of our channel; undefined when an active worker was faster. */
  const onlyMessage = async (): Promise<Found | undefined> => {
    const all = await committed();
    if (all.length === 0 && workerIsActive) return undefined;
    expect(all.length === 1, `${all.length} messages on the queue instead of one`);
    return all[0];
  };
  const takeAll = async () => {
    await writer.rollback();
    await reader.rollback();
    for (const { messageId, decoded } of await committed()) {
      if (await take(reader, installed, messageId)) {
        if (decoded.kind === "claim") await deleteClaim(reader, decoded.checkId);
      }
      await reader.commit();
    }
  };
  const check = (name: string, run: () => Promise<string | undefined>) =>
    report.check(name, async () => {
      try {
        return await run();
      } finally {
        await takeAll();
      }
    });

  await check(
    "another session sees nothing before commit, and nothing after rollback",
    async () => {
      await broadcast(writer, channel, '{"n":1}');
      expect((await committed()).length === 0, "the message is visible before commit");
      await writer.rollback();
      expect((await committed()).length === 0, "the message is there after rollback");
      return undefined;
    },
  );

  await check("a committed message arrives through the driver, byte for byte", async () => {
    const payload = '{"n":9007199254740993,"f":1.10,"text":"grüße, 世界 \u{1f600}"}';
    await broadcast(writer, channel, payload);
    await writer.commit();
    const seen = await onlyMessage();
    const message = seen && (await take(reader, installed, seen.messageId));
    if (message === undefined) {
      if (workerIsActive) return "the worker had taken it already";
      throw new Error("it could not be dequeued");
    }
    await reader.commit();
    expect(message.decoded.kind === "message", `it is read as ${message.decoded.kind}`);
    const read = message.decoded.message;
    expect(read.eventName === EVENT, `its event is ${read.eventName}`);
    expect(read.payload === payload, `its payload is ${read.payload}`);
    return undefined;
  });

  await check("a rollback of the dequeue gives the message back", async () => {
    if (workerIsActive) throw new SkipCheck("a worker is active, and would take the message");
    await broadcast(writer, channel, '"again"');
    await writer.commit();
    const seen = await onlyMessage();
    expect(seen !== undefined, "it is not there");
    await take(reader, installed, seen.messageId);
    await reader.rollback();
    const again = await onlyMessage();
    expect(again !== undefined, "it did not come back");
    return `attempts ${seen.attempts}, then ${again.attempts}`;
  });

  await check("a payload of 100,000 bytes arrives whole, with its claim check", async () => {
    const payload = JSON.stringify("\u{1f600}x".repeat(20_000));
    await broadcast(writer, channel, payload);
    await writer.commit();
    const seen = await onlyMessage();
    const message = seen && (await take(reader, installed, seen.messageId));
    if (message === undefined) {
      if (workerIsActive) return "the worker had taken it already";
      throw new Error("it could not be dequeued");
    }
    let { decoded } = message;
    if (decoded.kind === "claim") {
      const { checkId: claimId } = decoded;
      decoded = withCheckedText(decoded, await claimText(reader, claimId));
      await deleteClaim(reader, claimId);
    }
    await reader.commit();
    expect(decoded.kind === "message", `it is read as ${decoded.kind}`);
    expect(decoded.message.payload === payload, "its payload is another text");
    return message.decoded.kind === "claim" ? "as a claim check" : "on the queue itself";
  });
}

/**
 * An UPDATE that meets a concurrent change is rolled back and run again: its rows are announced once,
 * and only those of the second pass. Needs PL/SQL, and a table of the given name to make and drop.
 */
export async function checkRestart(
  { open, channel, installed }: DriverChecks,
  table: string,
  report: VerifyReport,
): Promise<void> {
  const [owner, first, second] = [await open(), await open(), await open()];
  const clean = async () => {
    await second.rollback();
    await first.rollback();
    for (const { messageId } of await browse(owner, installed, channel)) {
      await take(owner, installed, messageId);
    }
    await owner.execute(
      `begin
         for scratch in (select table_name from user_tables where table_name = :name) loop
           rtm_watch.unwatch(scratch.table_name);
           execute immediate 'drop table ' || scratch.table_name || ' purge';
         end loop;
         delete from rtm_log where channel = :channel;
         commit;
       end;`,
      { name: table, channel },
    );
  };
  await report.check(
    "a watched table: an UPDATE that is restarted sends its last pass",
    async () => {
      if (installed.kind !== "RAW") throw new SkipCheck("the queue holds JSON");
      try {
        await owner.execute(`create table ${table} (id number, name varchar2(10), n number)`);
        await owner.execute(
          `begin
           execute immediate 'insert into ${table} select level, ''x'', 0 from dual connect by level <= 3';
           commit;
           rtm_watch.watch('${table}', :channel, 'ID,N', 'v');
         end;`,
          { channel },
        );
        await first.execute(`update ${table} set name = 'y' where id = 2`);
        // Waits for the row that the first session holds, until that one commits.
        const update = second.execute(`update ${table} set n = n + 1 where name = 'x'`);
        const waited = await Promise.race([
          update.then(
            () => "ended",
            () => "ended",
          ),
          new Promise<string>((resolve) => setTimeout(resolve, RESTART_WAIT_MS, "waits")),
        ]);
        await first.commit();
        const { rowsAffected } = await update;
        expect(waited === "waits", "the second session did not wait for the first");
        expect(rowsAffected === 2, `the update changed ${rowsAffected} rows instead of 2`);
        const { rows } = await second.execute<[number]>(
          `select count(*)
         from rtm_qt q
         where q.q_name = 'RTM_QUEUE'
           and instr(utl_raw.cast_to_varchar2(dbms_lob.substr(q.user_data, 1900, 1)), :mark) > 0
           and instr(utl_raw.cast_to_varchar2(dbms_lob.substr(q.user_data, 1900, 1)), '"N":1') > 0`,
          { mark: `"channel":"${channel}"` },
        );
        const count = rows?.[0]?.[0];
        expect(count === 2, `${count} messages of 2 changed rows`);
        return undefined;
      } catch (error) {
        // As the checks in the database say of the others on a watched table.
        if (oraCode(error) === MISSING_GRANT) throw new SkipCheck(messageOf(error));
        throw error;
      } finally {
        await clean();
      }
    },
  );
}

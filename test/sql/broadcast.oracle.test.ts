/** Broadcasting, the worker's API, tokens, watch and purge on a real Oracle. */
import { createHmac, randomBytes } from "node:crypto";
import oracledb, { type Connection } from "oracledb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyToken } from "../../relay/access/token.ts";
import { oracleAccess } from "../oracle-contract/target.ts";
import { acquireLease, broadcast, drain, OracleSchema, rows, value } from "./oracle-schema.ts";

const oracle = await oracleAccess();
const SECRET = randomBytes(24).toString("hex");
const TIMEOUT_MS = 300_000;
const text = (maxSize: number) => ({ dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize });

describe.skipIf("skip" in oracle)("database side", { timeout: 60_000 }, () => {
  let schema: OracleSchema;
  let app: Connection;
  let consumer: Connection;

  beforeAll(async () => {
    if ("skip" in oracle) throw new Error(oracle.skip);
    schema = await OracleSchema.create(oracle);
    await schema.run("install");
    app = await schema.connect();
    consumer = await schema.connect();
    await app.execute("begin rtm_config_api.set_token_secret('k1', :secret); end;", {
      secret: SECRET,
    });
    await app.execute("begin rtm_config_api.set_value('log_payload', 'ALL'); end;");
  }, TIMEOUT_MS);
  afterAll(() => schema?.[Symbol.asyncDispose](), TIMEOUT_MS);

  const received = () => drain(consumer, schema.name);

  describe("a transaction", () => {
    it("shows nothing before commit, everything after, in order, and nothing after rollback", async () => {
      await broadcast(app, "tx", "1");
      await broadcast(app, "tx", "2");
      expect(await received()).toEqual([]);
      await app.commit();
      const [first, second] = await received();
      expect([first?.payload, second?.payload]).toEqual(["1", "2"]);
      await broadcast(app, "tx", "3");
      await app.rollback();
      expect(await received()).toEqual([]);
      expect(await value(app, "select count(*) from rtm_log where channel = 'tx'")).toBe(2);
    });

    it("takes part in triggers and savepoints", async () => {
      await app.execute("create table t_orders (id number primary key)");
      await app.execute(`create or replace trigger t_orders_trg after insert on t_orders for each row
        begin websocket_api.broadcast('orders', 'created', '{"id":' || :new.id || '}'); end;`);
      await app.execute("insert into t_orders values (1)");
      await app.execute("savepoint before_two");
      await app.execute("insert into t_orders values (2)");
      await app.execute("rollback to savepoint before_two");
      await app.commit();
      const messages = await received();
      expect(messages.map(({ payload }) => payload)).toEqual(['{"id":1}']);
      expect(messages[0]).toMatchObject({ channel: "orders", eventName: "created" });
      expect(Math.abs(messages[0]!.ts - Date.now())).toBeLessThan(3_600_000);
      await app.execute("drop table t_orders purge");
    });
  });

  describe("a payload", () => {
    it.each([
      ["an object with a large number", '{"n":9007199254740993,"f":1.10}'],
      ["an array", "[1, 2,\n 3]"],
      ["a string", '"grüße, 世界 😀"'],
      ["a number", "9007199254740993"],
      ["null", "null"],
      ["escapes", '"a\\nb\\u0000c"'],
    ])("%s arrives byte for byte", async (_, payload) => {
      await broadcast(app, "payload", payload);
      await app.commit();
      expect((await received()).map((message) => message.payload)).toEqual([payload]);
    });

    it("of nothing is an empty object", async () => {
      await broadcast(app, "payload", null);
      await app.commit();
      expect((await received())[0]?.payload).toBe("{}");
    });

    it.each([30_000, 32_600, 32_700, 32_766, 32_767, 32_768, 100_000, 1_000_000, 1_047_552])(
      "of %i bytes arrives, as a claim check where it does not fit",
      async (bytes) => {
        // Characters of four bytes, so that every cut could fall inside of one.
        const filler = "😀".repeat(Math.floor((bytes - 2) / 4));
        const payload = `"${filler}${"x".repeat(bytes - 2 - Buffer.byteLength(filler))}"`;
        expect(Buffer.byteLength(payload)).toBe(bytes);
        await broadcast(app, "size", payload);
        await app.commit();
        const [message] = await received();
        expect(message?.payload === payload, "same text").toBe(true);
        expect(message?.claimed).toBe(bytes > 32_700);
        expect(await value(app, "select count(*) from rtm_delivery")).toBe(0);
      },
    );

    it.each([
      ["not JSON", "{a:1}", "ORA-20105"],
      ["two values", "1,2", "ORA-20105"],
      ["an open object", '{"a":', "ORA-20105"],
      ["one byte too long", `"${"x".repeat(1_047_551)}"`, "ORA-20105"],
      ["one byte too long in characters of four", `"x${"😀".repeat(261_887)}xx"`, "ORA-20105"],
    ])("that is %s is refused, and the log keeps the reason", async (_, payload, code) => {
      await expect(broadcast(app, "refused", payload)).rejects.toThrow(code);
      await app.rollback();
      const last = await value<string>(
        app,
        "select max(error_message) keep (dense_rank last order by id) from rtm_log where channel = 'refused' and status = 'FAILED'",
      );
      expect(last).toContain(code);
      await broadcast(app, "refused", payload, "LOG");
      await app.rollback();
      expect(await received()).toEqual([]);
    });
  });

  it.each([
    ["", "must not be empty"],
    ["a*", "must not contain *"],
    ["a\nb", "control characters"],
    ["a\u0085b", "control characters"],
    ["é".repeat(65), "128 bytes"],
  ])("refuses the channel %j", async (channel, reason) => {
    await expect(broadcast(app, channel, "1")).rejects.toThrow(reason);
  });

  it("signs a token that the relay verifies", async () => {
    const { outBinds } = await app.execute<{ token: string }>(
      `declare
         l_channels websocket_api.t_channels;
       begin
         l_channels(1) := 'sales';
         l_channels(2) := 'room:*';
         l_channels(3) := websocket_api.user_channel('Scott "x"');
         :token := websocket_api.client_token(l_channels, 'Scott "x"', 60);
       end;`,
      { token: text(4000) },
    );
    const grant = verifyToken(outBinds!.token, {
      secrets: new Map([["k1", Buffer.from(SECRET)]]),
      clockTolerance: 30_000,
      maxChannels: 10,
      maxLifetime: 86_400_000,
    });
    expect(grant).toMatchObject({
      subject: 'Scott "x"',
      channels: ["sales", "room:*", 'user:SCOTT "X"'],
    });
    await expect(
      app.execute("begin :t := websocket_api.client_token('a', null, 60); end;", { t: text(4000) }),
    ).rejects.toThrow("ORA-20106");
  });

  it("mints who, when and which session, and what the options grant", async () => {
    const claimsOf = async (block: string, binds: object = {}) => {
      const { outBinds } = await app.execute<{ token: string }>(block, {
        token: text(32_000),
        ...binds,
      });
      return JSON.parse(
        Buffer.from(outBinds!.token.split(".")[1]!, "base64url").toString(),
      ) as Record<string, unknown>;
    };
    const plain = "begin :token := websocket_api.client_token('sales', 'Scott', 60); end;";
    const first = await claimsOf(plain);
    const second = await claimsOf(plain);
    expect(first).toMatchObject({ sub: "Scott", self: "user:SCOTT", channels: ["sales"] });
    expect(first).not.toHaveProperty("sid");
    expect(first.exp).toBe((first.iat as number) + 60);
    expect(first.jti).toMatch(/^[0-9a-f]{32}$/);
    expect(second.jti).not.toBe(first.jti);
    const withOptions = `declare
        l_channels websocket_api.t_channels;
        l_options  websocket_api.t_token_options;
      begin
        l_channels(1) := 'record:*';
        l_options.presence_join(1)  := 'record:42';
        l_options.presence_watch(7) := 'record:*';
        l_options.publish(1)        := 'record:42';
        l_options.member_info       := :info;
        :token := websocket_api.client_token(l_channels, l_options, 'Scott');
      end;`;
    const info = '{ "name": "Sc\u00f6tt" }';
    expect(await claimsOf(withOptions, { info })).toMatchObject({
      channels: ["record:*"],
      presence: { join: ["record:42"], watch: ["record:*"], info: { name: "Scött" } },
      publish: ["record:42"],
    });
    const refused = (value: string) => expect(claimsOf(withOptions, { info: value })).rejects;
    await refused("[1]").toThrow(/ORA-20106.*p_options.member_info must be a JSON object/);
    await refused("{a:1}").toThrow(/ORA-20106.*p_options.member_info/);
    await refused(`{"a":"${"é".repeat(260)}"}`).toThrow(/ORA-20106.*528 bytes/);
    await expect(
      claimsOf(`declare
          l_channels websocket_api.t_channels;
          l_options  websocket_api.t_token_options;
        begin
          l_channels(1) := 'a';
          l_options.presence_watch(1) := 'a*b';
          :token := websocket_api.client_token(l_channels, l_options, 'Scott');
        end;`),
    ).rejects.toThrow(/ORA-20101.*p_options.presence_watch/);
  });

  it("names an APEX session by a keyed hash that outlives a change of the secret", async () => {
    const claim = (session: number) =>
      value<string>(app, "select rtm_token.session_claim(:session) from dual", { session });
    const before = await claim(12_345_678_901_234);
    expect(before).toMatch(/^[0-9a-f]{32}$/);
    expect(await claim(12_345_678_901_235)).not.toBe(before);
    const key = await value<Buffer>(app, "select session_key from rtm_config");
    expect(before).toBe(
      createHmac("sha256", key)
        .update("apex-rtm session 12345678901234")
        .digest("hex")
        .slice(0, 32),
    );
    await app.execute("begin rtm_config_api.set_token_secret('k3', :secret); end;", {
      secret: randomBytes(24).toString("hex"),
    });
    expect(await claim(12_345_678_901_234)).toBe(before);
    await app.execute("begin rtm_config_api.set_value('log_days', '31'); end;");
    expect(await claim(12_345_678_901_234)).toBe(before);
    await app.execute("begin rtm_config_api.set_token_secret('k1', :secret); end;", {
      secret: SECRET,
    });
    await app.execute("begin rtm_config_api.drop_token_secret('k3'); end;");
  });

  it("says for how long a message is to be kept as a last value", async () => {
    await app.execute("begin websocket_api.broadcast('keep', 'e', '1', p_retain_s => 60); end;");
    await app.execute(
      "begin websocket_api.broadcast_user('scott', 'e', '2', p_retain_s => 604800); end;",
    );
    await app.execute(`begin
        websocket_api.broadcast_json('keep', 'e', json_array_t('[3]'), p_retain_s => 1);
        websocket_api.broadcast('keep', 'e', '"' || rpad('x', 30000, 'x') || rpad('x', 2750, 'x') || '"', p_retain_s => 2);
        websocket_api.broadcast('keep', 'e', '5');
      end;`);
    await app.commit();
    const found = await received();
    expect(found.map(({ retain }) => retain)).toEqual([60, 604_800, 1, 2, undefined]);
    expect(found[3]?.claimed).toBe(true);
    for (const bad of [0, 604_801, 1.5]) {
      await expect(
        app.execute("begin websocket_api.broadcast('keep', 'e', '1', p_retain_s => :bad); end;", {
          bad,
        }),
      ).rejects.toThrow(/ORA-20106.*p_retain_s must be a whole number from 1 to 604800/);
    }
  });

  describe("a copy of the database", () => {
    const token = () =>
      app.execute("begin :t := websocket_api.client_token('a', 'SCOTT'); end;", { t: text(4000) });
    const pretend = async (change: string) => {
      await app.execute("begin rtm_config_api.confirm_database; end;");
      await app.execute(`update rtm_database set ${change}`);
      await app.commit();
    };
    const state = () => value(app, "select rtm_config_api.database_state from dual");
    const forget = async () => {
      await app.execute("delete from rtm_database");
      await app.commit();
      await app.execute("begin rtm_config_api.confirm_database; end;");
    };
    afterAll(forget);

    it("that is a clone gets no tokens until it is confirmed", async () => {
      await pretend("db_unique_name = 'ORIGINAL', pdb_guid = null");
      expect(await state()).toBe("CLONE");
      await expect(token()).rejects.toThrow("ORA-20111");
      await app.execute("begin rtm_config_api.confirm_database; end;");
      await token();
      await forget();
    });

    it("on a new host goes on, and the check asks for a confirmation", async () => {
      await pretend("server_host = 'elsewhere'");
      expect(await state()).toBe("NEW_HOST");
      await token();
      expect(await schema.run("status")).toMatch(
        /missing Database is confirmed: it runs on a new host/,
      );
      await forget();
    });

    it("that was relocated under another name asks in the log, goes on for a day, then stops", async ({
      skip,
    }) => {
      await schema.asAdmin(`grant select on sys.v_$containers to ${schema.name}`).catch(() => {});
      await forget();
      const guid = await value(app, "select max(pdb_guid) from rtm_database");
      skip(guid === null, "V_$CONTAINERS cannot be granted by the test user");
      await pretend("db_unique_name = 'BEFORE'");
      expect(await state()).toBe("NEW_NAME");
      await token();
      expect(await state()).toBe("ASKED");
      expect(await value(app, "select last_error from rtm_status")).toContain("has a new name");
      await app.execute(
        "update rtm_database set confirmed_ts = confirmed_ts - interval '25' hour where state = 'ASKED'",
      );
      await app.commit();
      await expect(token()).rejects.toThrow("ORA-20111");
      await forget();
      await pretend("pdb_guid = '00'");
      expect(await state()).toBe("CLONE");
      await forget();
    });
  });

  it("keeps one current secret, whoever sets it at the same time", async () => {
    await app.execute("begin rtm_config_api.set_token_secret('k2', :secret); end;", {
      secret: SECRET,
    });
    await app.execute("begin rtm_config_api.set_token_secret('K2', :secret); end;", {
      secret: SECRET,
    });
    expect(await rows(app, "select kid from rtm_token_secret where is_current = 'Y'")).toEqual([
      ["K2"],
    ]);
    await expect(
      app.execute("update rtm_token_secret set is_current = 'Y' where kid = 'k2'"),
    ).rejects.toThrow("ORA-00001");
    await app.rollback();
    await app.execute("alter session set nls_comp = linguistic nls_sort = binary_ci");
    try {
      await app.execute("begin rtm_config_api.drop_token_secret('K2'); end;");
    } finally {
      await app.execute("alter session set nls_comp = binary nls_sort = binary");
    }
    expect(await value(app, "select count(*) from rtm_token_secret where kid = 'k2'")).toBe(1);
    await app.execute("begin rtm_config_api.set_token_secret('k1', :secret); end;", {
      secret: SECRET,
    });
  });

  it("shows dates in the Gregorian calendar, whatever the session says", async () => {
    await expect(broadcast(app, "calendar", "{")).rejects.toThrow("ORA-20105");
    await app.execute("alter session set nls_calendar = 'Thai Buddha'");
    try {
      const year = new Date().getUTCFullYear();
      expect(await value(app, "select last_error from rtm_status")).toMatch(
        new RegExp(`^${year}-\\d\\d-\\d\\dT`),
      );
    } finally {
      await app.execute("alter session set nls_calendar = 'Gregorian'");
    }
  });

  describe("more ways to call", () => {
    it("BROADCAST_USER sends on the user's channel", async () => {
      await app.execute("begin websocket_api.broadcast_user(' scott ', 'notice', '1'); end;");
      await app.commit();
      expect(await received()).toMatchObject([
        { channel: "user:SCOTT", eventName: "notice", payload: "1" },
      ]);
    });

    it("BROADCAST_JSON takes a JSON_OBJECT_T and a JSON_ARRAY_T, and leaves no temporary LOB", async () => {
      const lobs = () =>
        value<number>(
          app,
          "select coalesce(sum(cache_lobs + nocache_lobs + abstract_lobs), 0) from v$temporary_lobs where sid = sys_context('USERENV', 'SID')",
        ).catch(() => undefined);
      const before = await lobs();
      await app.execute(`declare
          l_object json_object_t := json_object_t('{"a":1}');
          l_array  json_array_t := json_array_t('[1,"x"]');
        begin
          websocket_api.broadcast_json('json', 'object', l_object);
          websocket_api.broadcast_json('json', 'array', l_array);
        end;`);
      await app.commit();
      expect((await received()).map(({ payload }) => JSON.parse(payload))).toEqual([
        { a: 1 },
        [1, "x"],
      ]);
      expect(await lobs()).toBe(before);
    });

    it("BROADCAST_MANY sends a list in order, or nothing of it when one is bad", async () => {
      const many = (second: string, policy: string) =>
        app.execute(
          `declare
             l_list websocket_api.t_messages;
           begin
             for i in 1 .. 3 loop
               l_list(i).channel := 'many';
               l_list(i).event_name := 'e' || i;
               l_list(i).payload := to_char(i);
             end loop;
             l_list(2).payload := :second;
             websocket_api.broadcast_many(l_list, :policy);
           end;`,
          { second: { val: second, type: oracledb.CLOB }, policy },
        );
      await many("2", "RAISE");
      await app.commit();
      expect((await received()).map(({ payload }) => payload)).toEqual(["1", "2", "3"]);
      await expect(many("{", "RAISE")).rejects.toThrow(
        /ORA-20105: p_messages\(2\): p_payload is not/,
      );
      await app.commit();
      expect(await received()).toEqual([]);
      await many("{", "LOG");
      await app.commit();
      expect((await received()).map(({ payload }) => payload)).toEqual(["1", "3"]);
    });

    it("BROADCAST_MANY raises the error of a stopped queue as it is", async () => {
      const change = (call: string) =>
        app.execute(
          `begin dbms_aqadm.${call}(queue_name => 'RTM_QUEUE', enqueue => true, dequeue => false); end;`,
        );
      await change("stop_queue");
      try {
        await expect(
          app.execute(`declare
              l_list websocket_api.t_messages;
            begin
              l_list(1).channel := 'stopped';
              l_list(1).payload := '1';
              websocket_api.broadcast_many(l_list, 'RAISE');
            end;`),
        ).rejects.toThrow("ORA-25207");
      } finally {
        await change("start_queue");
      }
    });

    it("BROADCAST_MANY sends the rows of a cursor", async () => {
      await app.execute(`declare
          l_rows sys_refcursor;
        begin
          open l_rows for
            select 'cursor', 'e', json_object('n' value level returning clob) from dual connect by level <= 250;
          websocket_api.broadcast_many(l_rows);
        end;`);
      await app.commit();
      const numbers = (await received()).map(({ payload }) => JSON.parse(payload).n);
      expect(numbers).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
    });

    it("a read-only transaction and a query get a clear error, and BROADCAST_NOW works there", async () => {
      await app.execute("set transaction read only");
      await expect(broadcast(app, "readonly", "1")).rejects.toThrow(/ORA-20115.*BROADCAST_NOW/);
      await app.execute("begin websocket_api.broadcast_now('readonly', 'e', '2'); end;");
      await app.rollback();
      await app.execute(`create or replace function t_in_query(p_now in number) return number is
        begin
          if p_now = 1 then
            websocket_api.broadcast_now('readonly', 'e', '3');
          else
            websocket_api.broadcast('readonly', 'e', '4');
          end if;
          return 1;
        end;`);
      await expect(app.execute("select t_in_query(0) from dual")).rejects.toThrow("ORA-20115");
      await app.execute("select t_in_query(1) from dual");
      await app.rollback();
      expect((await received()).map(({ payload }) => payload)).toEqual(["2", "3"]);
      await app.execute("drop function t_in_query");
    });
  });

  describe("the log", () => {
    it("that cannot be written is no error of a message that is on its way", async () => {
      await app.execute(
        "alter table rtm_log add constraint t_full check (channel <> 'unlogged' or status <> 'QUEUED')",
      );
      try {
        await broadcast(app, "unlogged", "1");
        await app.commit();
      } finally {
        await app.execute("alter table rtm_log drop constraint t_full");
      }
      expect((await received()).map(({ payload }) => payload)).toEqual(["1"]);
    });

    it("keeps a few KB of a payload that was refused", async () => {
      await expect(broadcast(app, "long", "x".repeat(500_000))).rejects.toThrow("ORA-20105");
      expect(
        await value(
          app,
          "select max(dbms_lob.getlength(payload_json)) from rtm_log where channel = 'long'",
        ),
      ).toBe(4000);
    });
  });

  describe("the worker's API", () => {
    it("writes receipts", async () => {
      await broadcast(app, "receipt", "1");
      await app.commit();
      const [message] = await received();
      await consumer.execute("begin rtm_worker_api.receipts(:ids, :recipients); end;", {
        ids: {
          type: oracledb.STRING,
          dir: oracledb.BIND_IN,
          maxSize: 128,
          val: [message!.id, "ff"],
        },
        recipients: { type: oracledb.NUMBER, dir: oracledb.BIND_IN, val: [7, 1] },
      });
      await consumer.commit();
      expect(
        await rows(
          app,
          "select status, recipients, channel from rtm_log where message_id = :id order by id",
          { id: message!.id },
        ),
      ).toEqual([
        ["QUEUED", null, "receipt"],
        ["DELIVERED", 7, "receipt"],
      ]);
      expect(await value(app, "select count(*) from rtm_log where message_id = 'ff'")).toBe(0);
    });

    it("gives the lease to one session, over commits, until it ends", async () => {
      const [one, two] = [await schema.connect(), await schema.connect()];
      expect(await acquireLease(one)).toBe("ACQUIRED");
      await one.commit();
      expect(await acquireLease(one)).toBe("ACQUIRED");
      expect(await acquireLease(two)).toBe("BUSY");
      await one.close();
      expect(await acquireLease(two)).toBe("ACQUIRED");
      await two.close();
    });

    it("gives consumers a lease each, and nobody the whole queue's meanwhile", async () => {
      const [one, two, whole] = [
        await schema.connect(),
        await schema.connect(),
        await schema.connect(),
      ];
      expect(await acquireLease(one, "BILLING")).toBe("ACQUIRED");
      expect(await acquireLease(one, "BILLING")).toBe("ACQUIRED");
      expect(await acquireLease(two, "billing")).toBe("BUSY");
      expect(await acquireLease(two, "AUDIT")).toBe("ACQUIRED");
      expect(await acquireLease(whole)).toBe("BUSY");
      await Promise.all([one.close(), two.close()]);
      expect(await acquireLease(whole)).toBe("ACQUIRED");
      const late = await schema.connect();
      expect(await acquireLease(late, "BILLING")).toBe("BUSY");
      await Promise.all([late.close(), whole.close()]);
    });

    it("answers versions, backlog and heartbeat", async () => {
      const { outBinds } = await consumer.execute<Record<string, string | number>>(
        "begin rtm_worker_api.versions(:api, :schema, :db, :queue, :kind, :lease, :now); end;",
        {
          api: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          schema: text(128),
          db: text(256),
          queue: text(261),
          kind: text(30),
          lease: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          now: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
        },
      );
      expect(outBinds).toMatchObject({
        api: 3,
        queue: `${schema.name}.RTM_QUEUE`,
        kind: "RAW",
        lease: 1,
      });
      await broadcast(app, "backlog", "1");
      await broadcast(app, "backlog", "2");
      await app.commit();
      const backlog = await consumer.execute<Record<string, number>>(
        "begin rtm_worker_api.backlog(rtm_aq.queue_name, 1, :ready, :age, :exceptions); end;",
        {
          ready: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          age: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          exceptions: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
        },
      );
      expect(backlog.outBinds).toMatchObject({ ready: 1, exceptions: 0 });
      expect(backlog.outBinds!.age).toBeGreaterThanOrEqual(0);
      expect(backlog.outBinds!.age).toBeLessThan(600);
      await received();
      await consumer.execute(
        "begin rtm_worker_api.heartbeat('host:1:a', rtm_aq.queue_name, 'host', '0.1.0', 'ACTIVE'); end;",
      );
      expect(await value(app, "select listeners from rtm_status")).toContain("ACTIVE host");
      await consumer.execute(
        "begin rtm_worker_api.heartbeat('host:1:a', rtm_aq.queue_name, 'host', '0.1.0', 'STOPPING'); end;",
      );
    });

    it("dequeues our own messages and JMS text in PL/SQL", async () => {
      await app.execute(`begin
        dbms_aqadm.create_queue_table('JMS_QT', 'SYS.AQ$_JMS_TEXT_MESSAGE');
        dbms_aqadm.create_queue('JMS_QUEUE', 'JMS_QT');
        dbms_aqadm.start_queue('JMS_QUEUE');
      end;`);
      const long = JSON.stringify("😀".repeat(10_000));
      const enqueue = (payload: string) =>
        app.execute(
          `declare
             l_options dbms_aq.enqueue_options_t;
             l_properties dbms_aq.message_properties_t;
             l_message sys.aq$_jms_text_message := sys.aq$_jms_text_message.construct;
             l_id raw(16);
           begin
             l_message.set_text(:payload);
             dbms_aq.enqueue('JMS_QUEUE', l_options, l_properties, l_message, l_id);
             commit;
           end;`,
          { payload: { val: payload, type: oracledb.CLOB } },
        );
      const dequeue = async (queue: string, kind: string) => {
        const { outBinds } = await consumer.execute<{ id: string; pieces: string[]; cut: number }>(
          "begin rtm_worker_api.dequeue_text(:queue, :kind, null, 1, 1, :id, :attempts, :enqueued, :pieces, :cut); end;",
          {
            queue,
            kind,
            id: text(32),
            attempts: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
            enqueued: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
            pieces: {
              dir: oracledb.BIND_OUT,
              type: oracledb.STRING,
              maxSize: 32_767,
              maxArraySize: 32,
            },
            cut: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          },
        );
        await consumer.commit();
        return { id: outBinds!.id, text: outBinds!.pieces.join(""), cut: outBinds!.cut };
      };
      await enqueue('{"short":true}');
      await enqueue(long);
      expect((await dequeue(`${schema.name}.JMS_QUEUE`, "JMS_TEXT")).text).toBe('{"short":true}');
      const second = await dequeue(`${schema.name}.JMS_QUEUE`, "JMS_TEXT");
      expect(second.text === long).toBe(true);
      expect(second.cut).toBe(0);
      expect((await dequeue(`${schema.name}.JMS_QUEUE`, "JMS_TEXT")).id).toBeNull();
      await broadcast(app, "own", '"x"');
      await app.commit();
      expect((await dequeue(`${schema.name}.RTM_QUEUE`, "RAW")).text).toMatch(/\}\n"x"$/);
      await expect(dequeue("NOBODY.NOTHING", "RAW")).rejects.toThrow("ORA-20122");
      await app.execute(
        "begin dbms_aqadm.drop_queue_table(queue_table => 'JMS_QT', force => true); end;",
      );
    });

    it("keeps poison with its payload", async () => {
      await consumer.execute(
        "begin rtm_worker_api.set_aside('Q', 'abcd', 'c', 'e', 'not_json', 'why', :pieces); end;",
        {
          pieces: { type: oracledb.STRING, dir: oracledb.BIND_IN, maxSize: 100, val: ["{a", "b}"] },
        },
      );
      await consumer.commit();
      expect(
        await rows(
          app,
          "select status, error_message, payload_json from rtm_log where message_id = 'abcd'",
        ),
      ).toEqual([["REJECTED", "not_json: why", "{ab}"]]);
    });

    it("keeps the whole payload that the broadcast has logged, and says when one is cut", async () => {
      await broadcast(app, "aside", '{"whole":true}');
      await app.commit();
      const [message] = await received();
      await consumer.execute(
        "begin rtm_worker_api.set_aside('Q', :id, 'aside', 'e', 'too_large', 'why', :pieces); end;",
        {
          id: message!.id,
          pieces: { type: oracledb.STRING, dir: oracledb.BIND_IN, maxSize: 100, val: ['{"wh'] },
        },
      );
      await consumer.commit();
      expect(
        await rows(
          app,
          "select status, payload_json, extra_info from rtm_log where message_id = :id order by id",
          { id: message!.id },
        ),
      ).toEqual([
        ["QUEUED", '{"whole":true}', null],
        ["REJECTED", '{"wh', "Queue Q; the payload is cut to about 256,000 bytes"],
      ]);
    });

    it("keeps bytes that are no UTF-8 as base64, also in a run longer than a piece", async () => {
      const bytes = Buffer.alloc(20_000, 0x80);
      const queue = await app.getQueue("RTM_QUEUE");
      await queue.enqOne(bytes);
      await app.commit();
      const { outBinds } = await consumer.execute<{ pieces: string[] }>(
        "begin rtm_worker_api.dequeue_text(:queue, 'RAW', null, 1, 1, :id, :attempts, :enqueued, :pieces, :cut); end;",
        {
          queue: `${schema.name}.RTM_QUEUE`,
          id: text(32),
          attempts: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          enqueued: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          pieces: {
            dir: oracledb.BIND_OUT,
            type: oracledb.STRING,
            maxSize: 32_767,
            maxArraySize: 32,
          },
          cut: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
        },
      );
      await consumer.commit();
      expect(outBinds!.pieces.join("")).toBe(`base64:${bytes.toString("base64")}`);
    });

    it("takes no list of words for one word", async () => {
      await expect(
        consumer.execute(
          "begin rtm_worker_api.heartbeat('host:1:b', 'Q', 'host', '1', 'ACTIVE|STANDBY'); end;",
        ),
      ).rejects.toThrow(/ORA-20120.*p_state/);
    });

    it("is all that the worker's user needs", async () => {
      if ("skip" in oracle) throw new Error(oracle.skip);
      await using worker = await OracleSchema.create(oracle, ["create session"]);
      await app.execute(`grant execute on rtm_worker_api to ${worker.name}`);
      await app.execute(
        `begin dbms_aqadm.grant_queue_privilege('DEQUEUE', '${schema.name}.RTM_QUEUE', '${worker.name}'); end;`,
      );
      await broadcast(app, "least", '{"a":1}');
      await broadcast(app, "least", JSON.stringify("x".repeat(40_000)));
      await app.commit();
      const session = await worker.connect();
      const messages = await drain(session, schema.name);
      expect(messages.map(({ claimed }) => claimed)).toEqual([false, true]);
      await expect(session.execute(`select * from ${schema.name}.rtm_config`)).rejects.toThrow();
      await expect(
        session.execute(`begin ${schema.name}.websocket_api.broadcast('a', 'b', '1'); end;`),
      ).rejects.toThrow();
    });
  });

  it("rejects above the backlog, without an error", async () => {
    await app.execute("begin rtm_config_api.set_value('max_backlog', '100'); end;");
    await app.execute(`begin
      for i in 1 .. 100 loop websocket_api.broadcast('flood', 'e', to_char(i)); end loop;
      commit;
    end;`);
    await app.execute("update rtm_gauge set measured_ts = timestamp '1970-01-01 00:00:00 +00:00'");
    await app.commit();
    await broadcast(app, "flood", '"over"');
    await app.commit();
    expect(
      await value(
        app,
        "select count(*) from rtm_log where status = 'REJECTED' and channel = 'flood'",
      ),
    ).toBe(1);
    expect(await received()).toHaveLength(100);
    await app.execute("begin rtm_config_api.set_value('max_backlog', null); end;");
    await app.execute("update rtm_gauge set measured_ts = timestamp '1970-01-01 00:00:00 +00:00'");
    await app.commit();
  });

  it("requeues and purges what went to the exception queue", async () => {
    await broadcast(app, "exceptional", JSON.stringify("x".repeat(40_000)));
    await app.commit();
    await app.execute(
      "begin dbms_aqadm.alter_queue(queue_name => 'RTM_QUEUE', max_retries => 0); end;",
    );
    const queue = await consumer.getQueue(`${schema.name}.RTM_QUEUE`);
    queue.deqOptions.wait = 1;
    await queue.deqOne();
    await consumer.rollback();
    const listed = () =>
      rows<[string, string]>(
        app,
        "select message_id, channel from table(rtm_admin.list_exceptions)",
      );
    await expect.poll(listed, { timeout: 60_000, interval: 500 }).toHaveLength(1);
    const [[id, channel]] = (await listed()) as [[string, string]];
    expect(channel).toBe("exceptional");
    await app.execute(
      "begin dbms_aqadm.alter_queue(queue_name => 'RTM_QUEUE', max_retries => 1000); end;",
    );
    await app.execute("begin :id := rtm_admin.requeue(:old); end;", { id: text(32), old: id });
    await app.commit();
    expect((await received()).map((message) => message.claimed)).toEqual([true]);
    await app.execute("begin rtm_admin.purge(0); end;");
    expect(await value(app, "select count(*) from rtm_log")).toBe(0);
  });

  describe("RTM_WATCH", () => {
    it("broadcasts changes, one bulk event above the limit, and stops", async () => {
      await app.execute(`create table t_watched (
        id number primary key, big number, name varchar2(20), note clob, at date, hidden raw(10))`);
      await app.execute("begin rtm_watch.watch('T_WATCHED', 'watched', p_max_rows => 3); end;");
      await app.execute(
        "insert into t_watched values (1, 12345678901234567890, 'a''b', null, date '2026-11-22', null)",
      );
      await app.execute("update t_watched set name = null where id = 1");
      await app.execute("delete from t_watched");
      await app.execute("insert into t_watched(id) select level from dual connect by level <= 5");
      await app.commit();
      const messages = await received();
      expect(messages.map(({ eventName }) => eventName)).toEqual([
        "t_watched-inserted",
        "t_watched-updated",
        "t_watched-deleted",
        "t_watched-bulk",
      ]);
      expect(JSON.parse(messages[0]!.payload)).toEqual({
        op: "insert",
        table: "T_WATCHED",
        row: {
          ID: 1,
          BIG: "12345678901234567890",
          NAME: "a'b",
          NOTE: null,
          AT: "2026-11-22T00:00:00",
        },
      });
      // The three rows before it in the transaction, and its five.
      expect(JSON.parse(messages[3]!.payload)).toEqual({ op: "bulk", table: "T_WATCHED", rows: 8 });
      await app.execute(
        "begin rtm_watch.unwatch('T_WATCHED'); rtm_watch.unwatch('T_WATCHED'); end;",
      );
      await app.execute("delete from t_watched");
      await app.commit();
      expect(await received()).toEqual([]);
    });

    describe("of a table with every kind of column", () => {
      const watch = (parameters: string, when: string) =>
        app.execute(
          `begin rtm_watch.watch('T_TYPED', 'typed', ${parameters} p_when => :condition); end;`,
          { condition: when },
        );
      beforeAll(async () => {
        await app.execute(`create table t_typed (
          id number primary key, status varchar2(10), note clob, made timestamp(3),
          made_tz timestamp with time zone, made_local timestamp with local time zone)`);
      });
      afterAll(() => app.execute("drop table t_typed purge"));

      it("sends CLOBs and timestamps, of the columns and rows that were asked for", async () => {
        await watch(
          "p_columns => 'ID, NOTE, MADE, MADE_TZ, MADE_LOCAL', p_event_prefix => 'thing',",
          ":new.status = 'OPEN'",
        );
        // More than a VARCHAR2 holds, in characters of one to four bytes.
        const note = 'aß€😀"\\\n'.repeat(5000);
        const insert = (id: number, status: string) =>
          app.execute(
            `insert into t_typed values (:id, :status, :note, timestamp '2026-11-22 10:11:12.345',
               timestamp '2026-11-22 10:11:12.5 +02:00', timestamp '2026-11-22 10:11:12.5 +02:00')`,
            { id, status, note: { val: note, type: oracledb.CLOB } },
          );
        await insert(1, "OPEN");
        await insert(2, "DRAFT");
        await app.execute("update t_typed set status = 'OPEN', note = null where id = 2");
        // :new.status is null: the condition does not hold.
        await app.execute("delete from t_typed");
        await app.commit();
        const messages = await received();
        expect(messages.map(({ eventName }) => eventName)).toEqual([
          "thing-inserted",
          "thing-updated",
        ]);
        const row = {
          MADE: "2026-11-22T10:11:12.345000",
          MADE_TZ: "2026-11-22T10:11:12.500000+02:00",
          MADE_LOCAL: "2026-11-22T08:11:12.500000Z",
        };
        const [inserted, updated] = messages.map(({ payload }) => JSON.parse(payload));
        expect(inserted.row.NOTE === note, "the CLOB arrives whole").toBe(true);
        expect(inserted).toEqual({
          op: "insert",
          table: "T_TYPED",
          row: { ID: 1, NOTE: note, ...row },
        });
        expect(updated).toEqual({
          op: "update",
          table: "T_TYPED",
          row: { ID: 2, NOTE: null, ...row },
        });
      });

      it("logs its errors instead of raising: the statement and the other rows go on", async () => {
        await watch("p_columns => 'ID',", "1 / (:new.id - 7) <> 0");
        await app.execute(
          "insert into t_typed(id) select 5 + level from dual connect by level <= 3",
        );
        await app.commit();
        expect(await value(app, "select count(*) from t_typed")).toBe(3);
        const ids = (await received()).map(({ payload }) => JSON.parse(payload).row.ID);
        expect(ids.sort()).toEqual([6, 8]);
        const errors = () =>
          rows<[string, string, string, string]>(
            app,
            `select status, source, extra_info, error_message from rtm_log
              where channel = 'typed' and status = 'FAILED' order by id`,
          );
        expect(await errors()).toEqual([
          [
            "FAILED",
            "WATCH",
            "Trigger of RTM_WATCH on T_TYPED",
            expect.stringContaining("ORA-01476"),
          ],
        ]);

        await app.execute("begin rtm_config_api.set_value('transport', 'OFF'); end;");
        try {
          await app.execute("insert into t_typed(id) values (9)");
          await app.commit();
        } finally {
          await app.execute("begin rtm_config_api.set_value('transport', null); end;");
        }
        expect(await value(app, "select count(*) from t_typed where id = 9")).toBe(1);
        expect((await errors()).at(-1)).toEqual([
          "FAILED",
          "WATCH",
          null,
          expect.stringContaining("ORA-20110"),
        ]);
        expect(await received()).toEqual([]);
      });
    });

    it("keeps the table writable when the condition does not compile", async () => {
      await expect(
        app.execute("begin rtm_watch.watch('T_WATCHED', 'watched', p_when => 'nonsense'); end;"),
      ).rejects.toThrow("ORA-20144");
      await app.execute("insert into t_watched(id) values (9)");
      await app.rollback();
      expect(await rows(app, "select trigger_name from user_triggers")).toEqual([]);
      await expect(
        app.execute("begin rtm_watch.watch('T_WATCHED', 'w', p_columns => 'ID,HIDDEN'); end;"),
      ).rejects.toThrow("ORA-20142");
      await app.execute("drop table t_watched purge");
    });
  });
});

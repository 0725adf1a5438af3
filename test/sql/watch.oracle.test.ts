/** RTM_WATCH on a real Oracle: what broke triggers, names, grants, upgrades and uninstallations. */
import oracledb, { type Connection } from "oracledb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyDatabase } from "../../cli/db/verify.ts";
import { oracleAccess } from "../oracle-contract/target.ts";
import { temporaryDirectory } from "../support/programs.ts";
import { drain, OracleSchema, rows, value } from "./oracle-schema.ts";

const oracle = await oracleAccess();
const TIMEOUT_MS = 300_000;

describe.skipIf("skip" in oracle)("RTM_WATCH", { timeout: 120_000 }, () => {
  let schema: OracleSchema;
  let app: Connection;
  let consumer: Connection;

  beforeAll(async () => {
    if ("skip" in oracle) throw new Error(oracle.skip);
    schema = await OracleSchema.create(oracle);
    await schema.run("install");
    app = await schema.connect();
    consumer = await schema.connect();
  }, TIMEOUT_MS);
  afterAll(() => schema?.[Symbol.asyncDispose](), TIMEOUT_MS);

  const received = () => drain(consumer, schema.name);
  const events = async () => (await received()).map(({ eventName }) => eventName);
  const watch = (table: string, more = "") =>
    app.execute(`begin rtm_watch.watch('${table}', 'w', p_event_prefix => 'v'${more}); end;`);

  it("passes everything that rtm db verify checks, and verify leaves nothing behind", async () => {
    const before = await rows(
      app,
      "select object_name, object_type from user_objects order by 1, 2",
    );
    const lines: string[] = [];
    const report = `${temporaryDirectory()}/report.md`;
    const code = await verifyDatabase(schema.logon, { report }, (line) => lines.push(line));
    expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
    expect(code).toBe(0);
    await app.execute("purge recyclebin");
    expect(
      await rows(app, "select object_name, object_type from user_objects order by 1, 2"),
    ).toEqual(before);
    expect(await value(app, "select count(*) from rtm_log")).toBe(0);
  });

  it("MERGE: each row once, and nothing when no row is touched", async () => {
    await app.execute("create table t_merge (id number primary key, name varchar2(10))");
    await watch("T_MERGE");
    await app.execute("insert into t_merge values (1, 'a')");
    await app.execute(`merge into t_merge t using (select level as id from dual connect by level <= 2) s
      on (t.id = s.id) when matched then update set t.name = 'x'
      when not matched then insert (id) values (s.id)`);
    await app.commit();
    expect((await events()).sort()).toEqual(["v-inserted", "v-inserted", "v-updated"]);
    await app.execute("drop table t_merge purge");
  });

  it("a cascade of a table into itself is one bulk message or one per row, and loses no change", async () => {
    await app.execute(`create table t_tree (id number primary key,
      parent_id number references t_tree (id) on delete cascade)`);
    await watch("T_TREE");
    await app.execute(
      "insert into t_tree select level, nullif(level - 1, 0) from dual connect by level <= 4",
    );
    await app.commit();
    await received();
    await app.execute("delete from t_tree where id = 1");
    await app.commit();
    // It depends on whether Oracle cascades before or after the row's own trigger.
    const seen = await events();
    const deleted = seen.filter((event) => event === "v-deleted");
    expect(seen.includes("v-bulk") || deleted.length === 4, seen.join(" ")).toBe(true);
    await app.execute("drop table t_tree purge");
  });

  it("FORALL and loops: one bulk message per transaction above the limit, again after a savepoint", async () => {
    await app.execute("create table t_loop (id number)");
    await watch("T_LOOP", ", p_max_rows => 2");
    await app.execute(`declare
      type t_ids is table of number;
      l_ids t_ids := t_ids(1, 2, 3, 4, 5);
    begin
      savepoint before_all;
      forall i in 1 .. 5 insert into t_loop values (l_ids(i));
      rollback to savepoint before_all;
      for i in 1 .. 3 loop insert into t_loop values (i); end loop;
      commit;
    end;`);
    expect(await events()).toEqual(["v-bulk"]);
    await app.execute("insert into t_loop values (9)");
    await app.commit();
    expect(await events()).toEqual(["v-inserted"]);
    await app.execute("drop table t_loop purge");
  });

  it("a table of 1,000 columns with long names: several triggers, one message", async () => {
    const columns = Array.from({ length: 999 }, (_, i) => `c_${"x".repeat(100)}_${i} number`);
    await app.execute(`create table t_wide (id number, ${columns.join(", ")})`);
    await watch("T_WIDE");
    const triggers = () =>
      value<number>(app, "select count(*) from user_triggers where table_name = 'T_WIDE'");
    expect(await triggers()).toBeGreaterThan(5);
    const longest = await value<number>(
      app,
      "select max(sum(lengthb(text))) from user_source where type = 'TRIGGER' group by name",
    );
    expect(longest).toBeLessThanOrEqual(32_767);
    await app.execute("insert into t_wide (id) values (1)");
    await app.commit();
    const [message, ...others] = await received();
    expect(others).toEqual([]);
    expect(Object.keys(JSON.parse(message!.payload).row)).toHaveLength(1000);
    await watch("T_WIDE", ", p_columns => 'ID'");
    expect(await triggers()).toBe(1);
    await app.execute("begin rtm_watch.unwatch('T_WIDE'); end;");
    expect(await triggers()).toBe(0);
    await app.execute("drop table t_wide purge");
  });

  it("names in quotes, with blanks, commas, braces and quotes in channel and columns", async () => {
    await app.execute(
      'create table "t {TABLE} x" ("a, {NEW}" number, "b c" varchar2(10), d number)',
    );
    const call = (columns: string) =>
      app.execute("begin rtm_watch.watch(:t, :c, :cols, 'v'); end;", {
        t: '"t {TABLE} x"',
        c: "it's {API}",
        cols: columns,
      });
    for (const columns of ['["a, {NEW}","b c"]', '"a, {NEW}", "b c"']) {
      await call(columns);
      await app.execute("insert into \"t {TABLE} x\" values (1, 'y', 2)");
      await app.commit();
      const [message] = await received();
      expect(message!.channel).toBe("it's {API}");
      expect(JSON.parse(message!.payload)).toEqual({
        op: "insert",
        table: "t {TABLE} x",
        row: { "a, {NEW}": 1, "b c": "y" },
      });
    }
    await expect(call('["A"]')).rejects.toThrow("ORA-20141");
    await expect(call("[1")).rejects.toThrow("ORA-20141");
    await app.execute('drop table "t {TABLE} x" purge');
  });

  it("virtual, identity, XMLTYPE, BINARY_DOUBLE, invisible columns and a CLOB of 100,000 characters", async () => {
    await app.execute(`create table t_kinds (
      id number generated always as identity, n number, twice as (n * 2), doc xmltype,
      huge binary_double, tiny binary_float, hidden number invisible, note clob)`);
    await watch("T_KINDS");
    const note = "ü".repeat(100_000);
    await app.execute("insert into t_kinds (n, huge, tiny, note) values (2, 1e200d, 0.5f, :note)", {
      note: { val: note, type: oracledb.CLOB },
    });
    await app.commit();
    const { row } = JSON.parse((await received())[0]!.payload);
    expect(row.NOTE === note).toBe(true);
    expect({ ...row, NOTE: null }).toEqual({
      ID: 1,
      N: 2,
      TWICE: 4,
      HUGE: "1.0000000000000000E+200",
      TINY: 0.5,
      NOTE: null,
    });
    await expect(watch("T_KINDS", ", p_columns => 'DOC'")).rejects.toThrow("ORA-20142");
    await watch("T_KINDS", ", p_columns => 'HIDDEN'");
    await app.execute("drop table t_kinds purge");
  });

  it("dates of a session with another calendar and other numbers", async () => {
    await app.execute("create table t_nls (d date, n number)");
    await watch("T_NLS");
    await app.execute(
      "alter session set nls_calendar = 'Thai Buddha' nls_numeric_characters = ',.'",
    );
    await app.execute("insert into t_nls values (timestamp '2026-11-26 10:11:12', 1.5)");
    await app.commit();
    expect(JSON.parse((await received())[0]!.payload).row).toEqual({
      D: "2026-11-26T10:11:12",
      N: 1.5,
    });
    await app.execute("alter session set nls_calendar = 'Gregorian' nls_numeric_characters = '.,'");
    await app.execute("drop table t_nls purge");
  });

  it("own tables are refused", async () => {
    await expect(watch("RTM_LOG")).rejects.toThrow("ORA-20145");
    await expect(watch("RTM_QT")).rejects.toThrow("ORA-20145");
  });

  it("a renamed table keeps its watch, and its old name is free for another", async () => {
    await app.execute("create table t_old (id number)");
    await watch("T_OLD");
    await app.execute("alter table t_old rename to t_new");
    expect(
      await value(app, "select trigger_state from rtm_watches where table_name = 'T_OLD'"),
    ).toBe("RENAMED TO T_NEW");
    await app.execute("create table t_old (id number)");
    await watch("T_OLD");
    expect(await rows(app, "select table_name from rtm_watches order by 1")).toEqual([
      ["T_NEW"],
      ["T_OLD"],
    ]);
    await app.execute("begin rtm_watch.refresh('T_NEW'); end;");
    await app.execute("insert into t_new values (1)");
    await app.commit();
    expect(JSON.parse((await received())[0]!.payload).table).toBe("T_NEW");
    await app.execute("drop table t_new purge");
    await app.execute("drop table t_old purge");
  });

  it("two tables that swap their names keep their own watches", async () => {
    await app.execute("create table t_one (id number)");
    await app.execute("create table t_two (id number)");
    await watch("T_ONE", ", p_max_rows => 1");
    await watch("T_TWO", ", p_max_rows => 2");
    await app.execute("alter table t_one rename to t_three");
    await app.execute("alter table t_two rename to t_one");
    await app.execute("alter table t_three rename to t_two");
    await app.execute("begin rtm_watch.refresh; end;");
    expect(await rows(app, "select table_name, max_rows from rtm_watches order by 1")).toEqual([
      ["T_ONE", 2],
      ["T_TWO", 1],
    ]);
    for (const table of ["T_ONE", "T_TWO"]) {
      await app.execute(`begin rtm_watch.unwatch('${table}'); end;`);
      await app.execute(`drop table ${table} purge`);
    }
  });

  it("a cascade into a table whose last statement failed loses no row of the outer statement", async () => {
    await app.execute("create table t_parent (id number primary key)");
    await app.execute(
      "create table t_child (parent_id number references t_parent (id) on delete cascade)",
    );
    await watch("T_PARENT");
    await watch("T_CHILD");
    await app.execute("insert into t_parent select level from dual connect by level <= 2");
    await app.execute("insert into t_child values (1)");
    await app.commit();
    await received();
    await expect(
      app.execute(
        "insert into t_child select case level when 1 then 1 else 9 end from dual connect by level <= 2",
      ),
    ).rejects.toThrow("ORA-02291");
    await app.execute("delete from t_parent");
    await app.commit();
    const deleted = (await received()).map(({ payload }) => JSON.parse(payload).table);
    expect(deleted.sort()).toEqual(["T_CHILD", "T_PARENT", "T_PARENT"]);
    await app.execute("begin rtm_watch.unwatch('T_CHILD'); rtm_watch.unwatch('T_PARENT'); end;");
    await app.execute("drop table t_child purge");
    await app.execute("drop table t_parent purge");
  });

  it("a dropped table's watch goes with refresh, or with unwatch", async () => {
    const names = () => rows(app, "select table_name from rtm_watches");
    for (const end of ["rtm_watch.refresh", "rtm_watch.unwatch('T_GONE')"]) {
      await app.execute("create table t_gone (id number)");
      await watch("T_GONE");
      await app.execute("drop table t_gone purge");
      await app.execute(`begin ${end}; end;`);
      expect(await names()).toEqual([]);
    }
  });

  it("an upgrade makes triggers of an older version again, and one of before the registry is replaced", async () => {
    await app.execute("create table t_up (id number)");
    await app.execute(`create trigger rtm_w_t_up after insert on t_up
      -- Generated by RTM_WATCH.WATCH. Change it by calling WATCH again; RTM_WATCH.UNWATCH drops it.
      begin null; end;`);
    await watch("T_UP");
    const names = () =>
      rows(app, "select trigger_name from user_triggers where table_name = 'T_UP'");
    const [[name]] = (await names()) as [[string]];
    expect(name).toMatch(/^RTM_W_T_UP_.*_\d+$/);
    const id = () =>
      value<number>(app, "select id from rtm_watched_table where table_name = 'T_UP'");
    const before = await id();
    await app.execute("update rtm_watched_table set version = 0");
    await app.commit();
    expect(await schema.run("install")).toContain("its trigger is made again");
    expect(await id()).not.toBe(before);
    expect(await names()).toEqual([[name]]);
    await schema.run("install");
    await app.execute("drop table t_up purge");
    await app.execute("begin rtm_watch.refresh; end;");
  });

  describe("of another schema", () => {
    let other: OracleSchema;
    let owner: Connection;
    beforeAll(async () => {
      if ("skip" in oracle) throw new Error(oracle.skip);
      other = await OracleSchema.create(oracle, [
        "create session, create table, create trigger, create procedure",
      ]);
      owner = await other.connect();
      await owner.execute("create table t_app (id number)");
      await app.execute(`grant execute on rtm_watch to ${other.name}`);
    }, TIMEOUT_MS);
    afterAll(() => other?.[Symbol.asyncDispose](), TIMEOUT_MS);
    const call = (text: string) => owner.execute(`begin ${schema.name}.rtm_watch.${text}; end;`);

    it("a missing grant is named in words, and the table stays writable", async () => {
      await expect(call("watch('T_APP', 'w')")).rejects.toThrow(
        `User ${other.name} lacks EXECUTE on ${schema.name}.RTM_ROW`,
      );
      await owner.execute("insert into t_app values (1)");
      await owner.rollback();
      expect(await rows(owner, "select trigger_name from user_triggers")).toEqual([]);
    });

    it("its owner needs EXECUTE on RTM_WATCH and RTM_ROW only", async () => {
      await app.execute(`grant execute on rtm_row to ${other.name}`);
      await call("watch('T_APP', 'w', p_event_prefix => 'v')");
      await owner.execute("insert into t_app values (2)");
      await owner.commit();
      expect(await events()).toEqual(["v-inserted"]);
    });

    it("two tries leave no trial trigger behind, and need no DROP ANY TRIGGER", async () => {
      await expect(call("watch('T_APP', 'w', p_when => 'nonsense')")).rejects.toThrow("ORA-20144");
      await expect(call("watch('T_APP', 'w', p_when => 'nonsense')")).rejects.toThrow("ORA-20144");
      expect(await rows(owner, "select trigger_name from user_triggers")).toHaveLength(1);
    });

    it("the uninstallation refuses and names the table, and the table stays writable", async () => {
      await expect(schema.run("uninstall")).rejects.toThrow(
        new RegExp(`ORA-20154.*${other.name}\\.T_APP`, "s"),
      );
      await owner.execute("insert into t_app values (3)");
      await owner.commit();
      expect(await events()).toEqual(["v-inserted"]);
    });

    it("only who may drop the trigger can forget the watch", async () => {
      await expect(
        app.execute(`begin rtm_watch.unwatch('${other.name}.T_APP'); end;`),
      ).rejects.toThrow("ORA-20143");
      expect(await value(app, "select count(*) from rtm_watches")).toBe(1);
      await call("unwatch('T_APP')");
      expect(await value(app, "select count(*) from rtm_watches")).toBe(0);
      expect(await rows(owner, "select trigger_name from user_triggers")).toEqual([]);
    });
  });
});

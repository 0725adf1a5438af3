import fc from "fast-check";
import oracledb from "oracledb";
import { describe, expect, it } from "vitest";
import { OraError } from "../../emulator/index.ts";
import { shapeOf } from "../../emulator/sql/statement-shape.ts";
import { codeOf } from "../oracle-contract/aq.ts";
import { PROFILES, withEmulator } from "./support.ts";

const { BIND_IN, BIND_INOUT, BIND_OUT } = oracledb;

describe.each(PROFILES)("statements, %s framing", (profile) => {
  it("carries every bind type in and out", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("echo", ({ binds }) => ({ out: { ...binds, O: binds.I ?? null } }));
    const connection = await connect();
    const cases: [oracledb.DbType, unknown][] = [
      [oracledb.DB_TYPE_VARCHAR, "päylöad €"],
      [oracledb.DB_TYPE_VARCHAR, "x".repeat(32_767)],
      [oracledb.DB_TYPE_NVARCHAR, "näme"],
      [oracledb.DB_TYPE_CHAR, "c"],
      [oracledb.DB_TYPE_NUMBER, 0],
      [oracledb.DB_TYPE_NUMBER, -123.456],
      [oracledb.DB_TYPE_BINARY_DOUBLE, Math.PI],
      [oracledb.DB_TYPE_BINARY_DOUBLE, -0.25],
      [oracledb.DB_TYPE_BINARY_FLOAT, 0.5],
      [oracledb.DB_TYPE_RAW, Buffer.from([0, 1, 255])],
      [oracledb.DB_TYPE_DATE, new Date(2026, 10, 22, 7, 59, 3)],
      [oracledb.DB_TYPE_TIMESTAMP, new Date(2026, 1, 3, 4, 5, 6, 789)],
      [oracledb.DB_TYPE_TIMESTAMP_TZ, new Date(Date.UTC(1999, 11, 31, 23, 59, 59, 1))],
      [oracledb.DB_TYPE_TIMESTAMP_LTZ, new Date(Date.UTC(2030, 0, 1))],
      [oracledb.DB_TYPE_BOOLEAN, true],
      [oracledb.DB_TYPE_BOOLEAN, false],
    ];
    for (const [type, val] of cases) {
      for (const value of [val, null]) {
        const { outBinds } = await connection.execute("begin echo(:i, :o); end;", {
          i: { type, val: value, dir: BIND_IN },
          o: { type, dir: BIND_OUT, maxSize: 32_767 },
        } as oracledb.BindParameters);
        expect((outBinds as Record<string, unknown>).o).toEqual(value);
      }
    }
  });

  it("carries any number, text and time (property)", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    let seen: unknown;
    emulator.onStatement("echo", ({ binds }) => {
      seen = binds.V;
      return { out: { V: binds.V as string } };
    });
    const connection = await connect();
    const echo = async (type: oracledb.DbType, val: unknown) => {
      const result = await connection.execute("begin echo(:v); end;", {
        v: { type, val, dir: BIND_INOUT, maxSize: 4000 },
      } as oracledb.BindParameters);
      return (result.outBinds as { v: unknown }).v;
    };
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e120, max: 1e120 }).map((n) => {
        // NUMBER has no exponents below -130.
        const val = Math.abs(n) < 1e-100 || Object.is(n, -0) ? 0 : n;
        return { type: oracledb.DB_TYPE_NUMBER, val };
      }),
      fc.maxSafeInteger().map((val) => ({ type: oracledb.DB_TYPE_NUMBER, val })),
      fc
        .string({ unit: "grapheme", minLength: 1, maxLength: 300 })
        .map((val) => ({ type: oracledb.DB_TYPE_VARCHAR, val })),
      fc
        .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
        .map((val) => ({ type: oracledb.DB_TYPE_TIMESTAMP_TZ, val })),
    );
    await fc.assert(
      fc.asyncProperty(value, async ({ type, val }) => {
        expect(await echo(type, val)).toEqual(val);
        expect(typeof val === "number" ? Number(seen) : seen).toEqual(val);
      }),
      { numRuns: 150 },
    );
  });

  it("carries index-by tables in and out", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("lists", ({ binds }) => {
      const names = binds.NAMES as string[];
      const numbers = binds.NUMBERS as number[];
      return {
        out: {
          pieces: names.map((name, i) => (numbers[i] === 0 ? null : name.repeat(numbers[i]!))),
          numbers: numbers.map((number) => number * 2),
        },
      };
    });
    const connection = await connect();
    const { outBinds } = await connection.execute("begin lists(:names, :numbers, :pieces); end;", {
      names: { type: oracledb.STRING, val: ["a", "é", ""], dir: BIND_IN },
      numbers: { type: oracledb.NUMBER, val: [8000, 2, 0], dir: BIND_INOUT, maxArraySize: 5 },
      pieces: { type: oracledb.STRING, dir: BIND_OUT, maxArraySize: 32, maxSize: 32_767 },
    });
    expect(outBinds).toEqual({ pieces: ["a".repeat(8000), "éé", null], numbers: [16_000, 4, 0] });
  });

  it("refuses an out value that does not fit its bind (ORA-06502)", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("long", () => ({ out: { v: "x".repeat(11) } }));
    const connection = await connect();
    const call = connection.execute("begin :v := long; end;", {
      v: { dir: BIND_OUT, maxSize: 10 },
    });
    expect(await codeOf(call)).toBe("ORA-06502");
  });

  it("answers queries: columns, types, nulls, no rows, thousands of rows", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const at = new Date(2026, 0, 2, 3, 4, 5);
    emulator.onStatement("from t1", () => ({
      rows: [
        { id: 1, name: "é", at, bytes: Buffer.from([1]), none: null },
        { id: -2.5, name: null, at: null, bytes: null, none: null },
      ],
    }));
    emulator.onStatement("from nothing", () => ({ columns: ["A", "B"] }));
    emulator.onStatement("from big", ({ binds }) => ({
      columns: ["N", "TEXT"],
      rows: Array.from({ length: binds.N as number }, (_, i) => [i, "x".repeat(i % 300)]),
    }));
    const connection = await connect();
    const options = { outFormat: oracledb.OUT_FORMAT_OBJECT };
    const some = await connection.execute("select * from t1", [], options);
    expect(some.rows).toEqual([
      { ID: 1, NAME: "é", AT: at, BYTES: Buffer.from([1]), NONE: null },
      { ID: -2.5, NAME: null, AT: null, BYTES: null, NONE: null },
    ]);
    const none = await connection.execute("select a, b from nothing");
    expect(none.rows).toEqual([]);
    expect(none.metaData?.map((column) => column.name)).toEqual(["A", "B"]);
    const big = await connection.execute("select * from big where rownum <= :n", { n: 3000 });
    expect(big.rows).toHaveLength(3000);
    expect(big.rows?.[2999]).toEqual([2999, "x".repeat(2999 % 300)]);
    expect(emulator.sessions()[0]?.calls.execute).toBe(3);
  });

  it("answers DML: rows affected, RETURNING, executeMany, autoCommit", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    let table: string[] = [];
    emulator.onStatement("insert into t1", ({ binds, session }) => {
      const name = binds.NAME as string;
      if (name === "bad") throw new OraError(1, "unique constraint violated");
      table.push(name);
      session.change({
        undo: () => {
          table = table.filter((other) => other !== name);
        },
      });
      return { rowsAffected: 1, out: { id: table.length } };
    });
    const connection = await connect();
    const insert = "insert into t1 (name) values (:name)";
    const one = await connection.execute<{ id: number[] }>(`${insert} returning id into :id`, {
      name: "a",
      id: { dir: BIND_OUT, type: oracledb.NUMBER },
    });
    expect(one).toMatchObject({ rowsAffected: 1, outBinds: { id: [1] } });
    const many = await connection.executeMany(insert, [{ name: "b" }, { name: "c" }]);
    expect(many.rowsAffected).toBe(2);
    expect(connection.transactionInProgress).toBe(true);
    await connection.rollback();
    expect(table).toEqual([]);
    const failing = connection.executeMany(insert, [{ name: "d" }, { name: "bad" }]);
    expect(await codeOf(failing)).toBe("ORA-00001");
    expect(table).toEqual([]);
    await connection.execute(insert, { name: "e" }, { autoCommit: true });
    expect(connection.transactionInProgress).toBe(false);
    await connection.rollback();
    expect(table).toEqual(["e"]);
  });

  it("carries CLOB and BLOB as binds, out binds and columns, and frees what it made", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const text = "größe ".repeat(20_000);
    const bytes = Buffer.alloc(100_000, 7);
    let seen: unknown;
    emulator.onStatement("lobs(", ({ binds }) => {
      seen = [binds.T, binds.B, binds.N];
      return { out: { o: `${binds.T}!`, none: null } };
    });
    emulator.onStatement("from documents", () => ({
      rows: [
        { id: 1, body: text, image: bytes },
        { id: 2, body: "short", image: null },
        { id: 3, body: null, image: Buffer.from([1]) },
      ],
    }));
    const connection = await connect();
    const result = await connection.execute<{ o: oracledb.Lob; none: null }>(
      "begin lobs(:t, :b, :n, :o, :none); end;",
      {
        t: text,
        b: bytes,
        n: { type: oracledb.CLOB, val: null, dir: BIND_IN },
        o: { type: oracledb.CLOB, dir: BIND_OUT },
        none: { type: oracledb.CLOB, dir: BIND_OUT },
      },
    );
    expect(seen).toEqual([text, bytes, null]);
    expect(result.outBinds?.none).toBeNull();
    expect(await result.outBinds?.o.getData()).toBe(`${text}!`);
    expect(result.outBinds?.o.length).toBe(text.length + 1);

    const sql = "select id, body, image from documents";
    const { rows } = await connection.execute<[number, oracledb.Lob, oracledb.Lob]>(sql);
    expect(await rows?.[0]?.[1].getData()).toBe(text);
    expect(await rows?.[0]?.[2].getData()).toEqual(bytes);
    expect(await rows?.[1]?.[1].getData()).toBe("short");
    expect(rows?.[2]?.[1]).toBeNull();
    const fetched = await connection.execute(sql, [], {
      fetchInfo: { BODY: { type: oracledb.STRING }, IMAGE: { type: oracledb.BUFFER } },
    });
    expect(fetched.rows).toEqual([
      [1, text, bytes],
      [2, "short", null],
      [3, null, Buffer.from([1])],
    ]);
    await connection.ping();
  });

  it("runs executeMany of PL/SQL with out binds, once per row", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("twice", ({ binds }) => ({ out: { o: (binds.I as number) * 2 } }));
    const connection = await connect();
    const { outBinds } = await connection.executeMany(
      "begin twice(:i, :o); end;",
      [{ i: 1 }, { i: 2 }, { i: 3 }],
      { bindDefs: { i: { type: oracledb.NUMBER }, o: { type: oracledb.NUMBER, dir: BIND_OUT } } },
    );
    expect(outBinds).toEqual([{ o: 2 }, { o: 4 }, { o: 6 }]);
  });

  it("cancels an async handler by its signal, and undoes what it did", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    let reason: unknown;
    emulator.onStatement("forever", ({ session, signal }) => {
      session.enqueue("RTM_QUEUE", "half done");
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(signal.reason);
        });
      });
    });
    const connection = await connect();
    const call = codeOf(connection.execute("begin forever; end;"));
    await emulator.waitFor(() => emulator.sessions()[0]?.transactionOpen);
    await connection.break();
    expect(await call).toBe("ORA-01013");
    expect(reason).toMatchObject({ number: 1013 });
    expect(queue.messages()).toEqual([]);
    await connection.ping();
  });

  it("turns a defect of a handler into an error of that call", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("broken", () => {
      throw new TypeError("undefined is not a function");
    });
    const connection = await connect();
    await expect(connection.execute("begin broken; end;")).rejects.toThrow(
      "undefined is not a function",
    );
    await connection.ping();
  });

  it("asks the latest handler first, and forgets one that is removed", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement(/^select who/i, () => ({ rows: [{ who: "first" }] }));
    const remove = emulator.onStatement("SELECT   who", () => ({ rows: [{ who: "second" }] }));
    const connection = await connect();
    expect((await connection.execute("select\n who from t")).rows).toEqual([["second"]]);
    remove();
    expect((await connection.execute("select who from t")).rows).toEqual([["first"]]);
  });

  it("runs a pipeline", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    emulator.onStatement("say", ({ binds, session }) => {
      session.enqueue("RTM_QUEUE", String(binds.M));
    });
    const connection = await connect();
    // biome-ignore lint/suspicious/noExplicitAny: the types do not know pipelines
    const driver = oracledb as any;
    const pipeline = new driver.Pipeline();
    pipeline.addExecute("begin say(:m); end;", { m: "one" });
    pipeline.addExecute("begin say(:m); end;", { m: "two" });
    pipeline.addCommit();
    // biome-ignore lint/suspicious/noExplicitAny: the types do not know pipelines
    const results = await (connection as any).runPipeline(pipeline);
    expect(results).toHaveLength(3);
    expect(queue.messages().map((message) => String(message.payload))).toEqual(["one", "two"]);
    expect(queue.depth()).toBe(2);
  });
});

describe("the shape of a statement", () => {
  it.each([
    ["begin p(:a, :b, :A); end;", ["A", "B"]],
    ["insert into t values (:a, :b, :a)", ["A", "B", "A"]],
    ["select ':no', q'[it's :no]', \"x:no\" from t where a = :1 -- :no\n and b = :2", ["1", "2"]],
    ["begin /* :no */ p(:yes); end;", ["YES"]],
    ["select json_object('k':v) from t where x = :x", ["X"]],
    ['begin p(:"Mixed"); end;', ["Mixed"]],
  ])("%s", (sql, names) => {
    expect(shapeOf(sql).bindNames).toEqual(names);
  });

  it("knows the binds of RETURNING", () => {
    const shape = shapeOf("update t set a = :a where b = :b returning c, d into :c, :d");
    expect([...shape.returning]).toEqual([2, 3]);
  });
});

/** The scripts fit together, and every client can run them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { expandScript, isClientCommand, SQL_FOLDER, splitScript } from "../../cli/db/script.ts";
import { PACKAGE_ROOT, VERSION } from "../../cli/version.ts";
import { builtFiles } from "../../scripts/sql-files.ts";
import { closing, tokens } from "./plsql/lexer.ts";
import { ORA_ERRORS } from "./plsql/supplied.ts";
import { sourceFiles } from "./plsql/units.ts";

const files = sourceFiles();
const read = (path: string) => readFileSync(join(PACKAGE_ROOT, path), "utf8");
const includes = (script: string) =>
  [...read(`sql/${script}.sql`).matchAll(/^@@(.+)$/gm)].map(([, path]) => path as string);

/** `PACKAGE RTM_AQ`, `TABLE RTM_LOG` ...: what the texts create. Indexes and jobs go with others. */
function created(texts: readonly string[]): string[] {
  const found = new Set<string>();
  const ddl =
    /create (?:or replace |global temporary )?(package|view|function|procedure|table|sequence|mle module)(?! body) (\w+)/gi;
  for (const text of texts) {
    for (const [, kind, name] of text.replace(/--.*$/gm, "").matchAll(ddl)) {
      found.add(`${kind} ${name}`.toUpperCase());
    }
  }
  return [...found];
}

describe("install.sql", () => {
  const included = includes("install");

  it("includes files that exist, and every file but those by choice", () => {
    for (const path of included) expect(existsSync(join(SQL_FOLDER, path)), path).toBe(true);
    const byChoice = ["aq/queue_json.sql", "install/drop_objects.sql"];
    expect([...included, ...byChoice].sort()).toEqual(files.map(({ path }) => path).sort());
  });

  it("creates every package before a script or specification that names it in its own text", () => {
    const position = new Map(included.map((path, index) => [path, index]));
    const missing = included
      .filter((path) => path.endsWith(".pks"))
      .flatMap((path) => {
        const names = tokens(read(`sql/${path}`)).filter(({ kind }) => kind === "name");
        return names.flatMap(({ text }) => {
          const needed = included.find((other) => other.endsWith(`/${text}.pks`));
          const late = needed !== undefined && position.get(needed)! > position.get(path)!;
          return late ? [`${path} needs ${needed}`] : [];
        });
      });
    expect(missing).toEqual([]);
  });

  it("records the version of the package", () => {
    expect(read("sql/install/features.sql")).toContain(`:= '${VERSION}';`);
  });
});

describe("uninstall.sql", () => {
  const script = read("sql/install/drop_objects.sql");
  const installed = included(includes("install"));

  function included(paths: readonly string[]): string[] {
    return paths.map((path) => read(`sql/${path}`));
  }

  it("drops what the installation creates, and nothing else", () => {
    const dropped = [...script.matchAll(/later\('([A-Z ]+)', '(\w+)'/g)].map(
      ([, kind, name]) => `${kind} ${name}`,
    );
    // The generated package, and the trial procedure: their DDL is put together from parts.
    const generated = ["PACKAGE RTM_FEATURES"];
    // What an upgrade that stopped in its middle can have left (sql/install/upgrade.sql).
    const old = ["TABLE RTM_OUTBOX", "TABLE RTM_PAYLOAD"];
    const expected = new Set([...created(installed), ...generated, ...old]);
    expect(dropped.sort()).toEqual([...expected].sort());
  });

  it("drops every job and every queue table", () => {
    const jobs = [...read("sql/api/admin/rtm_jobs.pkb").matchAll(/job_name\s+=> '(\w+)'/g)];
    expect(jobs).toHaveLength(2);
    for (const [, job] of jobs) expect(script).toContain(`'${job}'`);
    const queues = read("sql/aq/queue.sql").matchAll(/^ {2}make\('\w+', '(\w+)'/gm);
    const queueTables = [...queues].map(([, name]) => name);
    expect(queueTables).toEqual(["RTM_QT", "RTM_EVENTS_QT"]);
    for (const name of queueTables) expect(script).toContain(`  drop_queue('${name}');`);
  });

  it("notices an object that is not dropped", () => {
    expect(created([...installed, "create table rtm_forgotten (id number)"])).toContain(
      "TABLE RTM_FORGOTTEN",
    );
  });
});

describe("built files", () => {
  it.each([...builtFiles()])("%s is current (npm run build:sql)", (path, text) => {
    expect(read(path)).toBe(text);
  });
});

describe.each(["install", "uninstall"])("dist/rtm-%s.sql", (name) => {
  const text = read(`dist/rtm-${name}.sql`);
  const commands = text.split("\n").filter(isClientCommand);
  const statements = splitScript(
    text
      .split("\n")
      .filter((line) => !isClientCommand(line))
      .join("\n"),
  );

  it("shows its table and stops at an error, in clients that have commands", () => {
    expect(commands).toContain("set serveroutput on size unlimited format wrapped");
    expect(commands).toContain("whenever sqlerror exit failure rollback");
    expect(text.trimEnd().split("\n").at(-1)).toBe("exit success");
  });

  it("is what rtm db runs", () => {
    const direct = splitScript(expandScript(join(SQL_FOLDER, `${name}.sql`)));
    expect(statements.map((one) => one.title)).toEqual(direct.map((one) => one.title));
  });

  it("has statements only: blocks, packages, the view", () => {
    for (const { title } of statements) {
      expect(title).toMatch(/^(declare|begin|create or replace (package( body)?|view) \w+.*)$/);
    }
  });

  it("has no trap for SQL*Plus, SQLcl or APEX SQL Scripts", () => {
    const traps = text.split("\n").flatMap((line, index) => {
      const trap =
        (line.includes("&") && "substitution variable") ||
        (line.includes("$$") && "inquiry directive") ||
        (/^\s*[@#!]/.test(line) && "client command") ||
        (line.trim() === "." && "end of the buffer") ||
        (/-\s*$/.test(line) && "continuation") ||
        (/\t/.test(line) && "tab") ||
        (/[^ -~]/.test(line) && "not ASCII") ||
        (line.length > 2000 && "too long");
      return trap ? [`line ${index + 1}: ${trap}`] : [];
    });
    expect(traps).toEqual([]);
  });

  it("has no blank line inside of plain SQL, where SQL*Plus would stop reading", () => {
    for (const { title, text: statement } of statements) {
      if (/^create or replace view/.test(title)) expect(statement).not.toMatch(/\n\s*\n/);
    }
  });
});

describe("scripts that a client runs", () => {
  const scripts = [
    "install.sql",
    "uninstall.sql",
    ...readdirSync(join(SQL_FOLDER, "grants")).map((name) => `grants/${name}`),
  ];

  it.each(scripts)("%s ends with EXIT: nothing waits at a prompt", (script) => {
    expect(read(`sql/${script}`).trimEnd().split("\n").at(-1)).toBe("exit success");
  });

  it("no page hides the question for a password (sqlplus -s)", () => {
    const pages = readdirSync(join(PACKAGE_ROOT, "docs")).filter((name) => name.endsWith(".md"));
    const texts = [...pages.map((name) => `docs/${name}`), ...scripts.map((name) => `sql/${name}`)];
    expect(texts.filter((path) => /\bsqlplus\b[^\n|]* -s\b/i.test(read(path)))).toEqual([]);
  });
});

describe("installation check", () => {
  const named = (text: string) =>
    [...text.matchAll(/'((?:RTM|WEBSOCKET)_\w+)'/g)].map(([, name]) => name as string);
  const installed = created(includes("install").map((path) => read(`sql/${path}`)))
    .filter((object) => !/^SEQUENCE|TRIAL$/.test(object))
    .map((object) => object.replace(/^.* /, ""));
  const ours = [...new Set([...installed, "RTM_FEATURES"])].sort();

  it("complains of our objects only, and of all of them", () => {
    const [, list] = /c_ours constant t_names := t_names\(([^;]*)\);/.exec(
      read("sql/install/check.sql"),
    )!;
    expect(named(list!).sort()).toEqual(ours);
    const body = read("sql/api/admin/rtm_admin.pkb");
    const [, inCheck] = /object_name in \(([^)]*)\)/.exec(body)!;
    expect(named(inCheck!).sort()).toEqual(ours);
  });
});

describe("who may call what", () => {
  const rows = [
    ...read("docs/sql-api.md").matchAll(
      /^\| (`RTM_|`WEBSOCKET)([^|]*)\| yes \| (.*?) \| (.*?) \|/gm,
    ),
  ].flatMap(([, start, names, app, worker]) =>
    [...`${start}${names}`.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name: name!, app, worker })),
  );
  const granted = (script: string) =>
    [...read(`sql/grants/${script}`).matchAll(/^grant execute on &owner\.\.(\w+)/gm)].map(
      ([, name]) => name!.toUpperCase(),
    );

  it("has a row for every package", () => {
    const packages = created(includes("install").map((path) => read(`sql/${path}`)))
      .filter((object) => object.startsWith("PACKAGE "))
      .map((object) => object.replace("PACKAGE ", ""));
    const expected = [...packages, "RTM_FEATURES"].sort();
    expect(rows.map(({ name }) => name).sort()).toEqual(expected);
  });

  it("says what the scripts grant", () => {
    const allowed = (role: "app" | "worker") =>
      rows.filter((row) => row[role] === "yes").map(({ name }) => name);
    expect(allowed("app").sort()).toEqual(granted("app.sql").sort());
    expect(allowed("worker").sort()).toEqual(granted("worker.sql").sort());
  });

  it("an application can neither purge nor see secrets", () => {
    const api = granted("app.sql").map(
      (name) => files.find(({ path }) => path.endsWith(`/${name.toLowerCase()}.pks`))!.text,
    );
    for (const text of api)
      expect(text).not.toMatch(/(procedure|function) (purge|requeue|settings|set_\w+)/);
  });
});

describe("PL/SQL text", () => {
  it("only adds to RTM_LOG", () => {
    const changing = files
      .filter(({ path }) => path !== "install/upgrade.sql")
      .filter(({ text }) => /\bupdate\s+rtm_log\b|\bmerge\s+into\s+rtm_log\b/i.test(text));
    expect(changing.map(({ path }) => path)).toEqual([]);
    const deleting = files.filter(({ text }) => /\bdelete\s+from\s+rtm_log\b/i.test(text));
    expect(deleting.map(({ path }) => path)).toEqual(["api/admin/rtm_admin.pkb"]);
  });

  it("compares the indexed time of the log and of deliveries with variables of their own type", () => {
    // With an expression of another type the column is converted, and its index is not used.
    const compared = files.flatMap(({ path, text }) =>
      [
        ...text.matchAll(
          /\b(?:\w+\.)?(ts|expires_utc|retry_utc|until_utc)\s*(?:<=?|>=?)\s*([\w.]+)/g,
        ),
      ].map(([all, , other]) => ({ where: `${path}: ${all}`, other: other! })),
    );
    expect(compared.length).toBeGreaterThan(4);
    const own = /^(l_\w+|rtm_text\.now_utc)$/;
    expect(compared.filter(({ other }) => !own.test(other)).map(({ where }) => where)).toEqual([]);
    const sql = files.flatMap(({ path, text }) =>
      [...text.matchAll(/where[^;]*now_utc[^;]*;/g)].map(() => path),
    );
    expect(sql).toEqual([]);
  });

  it("asks for features by trial, and for a version only where nothing can be tried", () => {
    const asking = files.filter(({ text }) => /dbms_db_version/.test(text.replace(/--.*$/gm, "")));
    expect(asking.map(({ path }) => path)).toEqual(["install/prerequisites.sql"]);
  });

  it("handles errors by numbers whose meaning is known", () => {
    const handled = files.flatMap(({ path, text }) =>
      [...text.matchAll(/exception_init\(\w+, -(\d+)\)|\b(?:p|l)_code (?:=|in) \(?-(\d+)/g)].map(
        ([, inPragma, inCode]) => ({ path, code: Number(inPragma ?? inCode) }),
      ),
    );
    expect(handled.length).toBeGreaterThan(10);
    expect(handled.filter(({ code }) => ORA_ERRORS[code] === undefined)).toEqual([]);
  });

  it("writes dates in the Gregorian calendar, whatever NLS_CALENDAR says", () => {
    const calls = files.flatMap(({ path, text }) => {
      const list = tokens(text);
      return list.flatMap((token, i) => {
        if (token.kind !== "name" || token.text !== "to_char") return [];
        const call = list.slice(i, closing(list, i + 1)).map((one) => one.text);
        const isDate = call.some((word) => /yyyy/i.test(word) || word === "c_iso_s");
        return isDate ? [{ at: `${path}:${token.line}`, call: call.join(" ") }] : [];
      });
    });
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.filter(({ call }) => !call.includes("gregorian")).map(({ at }) => at)).toEqual([]);
  });

  it("compares names of secrets, databases, hosts and relays byte by byte", () => {
    // The operators = and <> follow NLS_COMP and NLS_SORT of the session.
    const guarded = [
      "kid",
      "db_unique_name",
      "con_name",
      "pdb_guid",
      "server_host",
      "base_url",
      "l_url",
    ];
    const problems = files.flatMap(({ path, text }) => {
      const list = tokens(text);
      return list.flatMap((token, i) => {
        const after = list[i + 1]?.text === "." ? i + 3 : i + 1;
        const name = list[after - 1]?.text ?? "";
        const compares = ["=", "<>", "!="].includes(list[after]?.text ?? "");
        const before = list[i - 1]?.text ?? "";
        const inCondition = ["where", "and", "or", "if", "elsif", "when", "not", "("].includes(
          before,
        );
        return token.kind === "name" && guarded.includes(name) && compares && inCondition
          ? [`${path}:${token.line} ${name}`]
          : [];
      });
    });
    // The upgrade to one current secret compares an id with the greatest of the same column.
    expect(problems.filter((where) => !/rtm_config\.sql:\d+ kid/.test(where))).toEqual([]);
  });

  it("calls no function of its own body in SQL (PLS-00231)", () => {
    const problems = files
      .filter(({ path }) => path.endsWith(".pkb"))
      .flatMap(({ path, text }) => {
        const spec = files.find((one) => one.path === path.replace(/pkb$/, "pks"))!.text;
        const hidden = [...text.matchAll(/^ {2,6}function (\w+)/gm)]
          .map(([, name]) => name!)
          .filter((name) => !new RegExp(`function ${name}\\b`).test(spec));
        const list = tokens(text);
        return list.flatMap((token, i) => {
          const isCall = token.kind === "name" && hidden.includes(token.text);
          if (!isCall || list[i - 1]?.text === "." || list[i - 1]?.text === "function") return [];
          let start = i;
          while (
            start > 0 &&
            ![";", "begin", "then", "loop", "else", "is"].includes(list[start]!.text)
          )
            start--;
          const first = list[start + 1]?.text ?? "";
          return ["select", "insert", "update", "delete", "merge"].includes(first)
            ? [`${path}:${token.line} ${token.text}`]
            : [];
        });
      });
    expect(problems).toEqual([]);
  });

  it("raises no code of the database through RAISE_APPLICATION_ERROR, which takes its own only (ORA-21000)", () => {
    const byName = files.flatMap(({ path, text }) =>
      [...text.matchAll(/^.*\n.*\n.*\n.*raise_application_error\(\s*(?!-20[1-9]\d\d\b)(\w+)/gm)]
        .filter(([, code]) => !code!.startsWith("c_"))
        .map(([before, code]) => ({
          path,
          code,
          guarded: before!.includes(`if ${code} > -21000 and ${code} <= -20000 then`),
        })),
    );
    expect(byName).toEqual([
      { path: "api/public/websocket_api.pkb", code: "l_code", guarded: true },
    ]);
  });

  it("writes to DBMS_OUTPUT from a call or a trigger only where a full buffer is handled (ORU-10027)", () => {
    const writing = files
      .filter(({ path, text }) => /\.pkb$/.test(path) && text.includes("dbms_output.put_line"))
      .map(({ path }) => path);
    // RTM_WATCH runs in no transaction of the application: its calls are DDL.
    expect(writing).toEqual([
      "api/base/rtm_text.pkb",
      "api/public/rtm_watch.pkb",
      "api/public/rtm_watch_source.pkb",
    ]);
    for (const path of ["api/base/rtm_text.pkb", "api/public/rtm_watch_source.pkb"]) {
      const text = files.find((file) => file.path === path)!.text;
      expect(text).toMatch(/dbms_output\.put_line\([^;]*;\s+exception\s+when e_full then/);
    }
  });

  it("swallows no exception", () => {
    for (const { path, text } of files) {
      expect(text, path).not.toMatch(/when others then\s+null\s*;/);
    }
  });

  it("commits only where it says so", () => {
    const committing = files
      .filter(({ path, text }) => path.endsWith(".pkb") && /\bcommit;/.test(text))
      .map(({ path }) => path);
    expect(committing).toEqual([
      "api/admin/rtm_admin.pkb",
      "api/base/rtm_config_api.pkb",
      "api/http/rtm_relay.pkb",
      "api/http/rtm_sender.pkb",
      "api/log/rtm_log_row.pkb",
      "api/public/rtm_watch_registry.pkb",
      "api/public/websocket_api.pkb",
      "api/worker/rtm_members.pkb",
      "api/worker/rtm_worker_api.pkb",
    ]);
    // On the path of a message: in autonomous transactions only, and no savepoint (ORA-04092).
    for (const path of [
      "api/http/rtm_relay.pkb",
      "api/log/rtm_log_row.pkb",
      "api/worker/rtm_members.pkb",
      "api/worker/rtm_worker_api.pkb",
      "api/public/rtm_watch_registry.pkb",
      "api/public/websocket_api.pkb",
    ]) {
      expect(outsideAutonomous(files.find((file) => file.path === path)!.text), path).not.toMatch(
        /\b(commit|rollback|savepoint)\b/,
      );
    }
    const aq = files.find(({ path }) => path === "aq/rtm_aq.pkb")!.text.replace(/--.*/g, "");
    expect(aq).not.toMatch(/\b(commit|rollback|savepoint)\b(?!_)/);
  });

  it("uses functions of SQL in SQL only", () => {
    const sqlOnly = new Set(["nvl2", "decode", "standard_hash", "json_object", "json_serialize"]);
    const problems = files.flatMap(({ path, text }) => {
      const list = tokens(text);
      return list.flatMap((token, i) => {
        if (token.kind !== "name" || !sqlOnly.has(token.text)) return [];
        if (list[i + 1]?.text !== "(") return [];
        closing(list, i + 1);
        let start = i;
        while (start > 0 && list[start]?.text !== ";") start--;
        const inSql = list.slice(start, i).some(({ text: word }) => word === "select");
        return inSql ? [] : [`${path}:${token.line} ${token.text}`];
      });
    });
    expect(problems).toEqual([]);
  });

  it("has a row in docs/sql-api.md for each of its errors, and no other", () => {
    const raised = new Set(files.flatMap(({ text }) => text.match(/-20[1-9]\d\d\b/g) ?? []));
    const page = read("docs/sql-api.md");
    const documented = [...page.matchAll(/^\| (-20\d{3}) \|/gm)].map(([, code]) => code);
    expect(documented.sort()).toEqual([...raised].sort());
  });

  it("has a row in docs/sql-api.md for each setting, with its default", () => {
    const page = read("docs/sql-api.md");
    const body = read("sql/api/base/rtm_config_api.pkb");
    const setters = body.slice(body.indexOf("procedure set_value"), body.indexOf("end set_value"));
    for (const [, name, code] of setters.matchAll(/when '(\w+)' then\n([\s\S]*?)(?=\n {6}\w)/g)) {
      const fallback = /, ([^,()]+)\);/.exec(code as string)?.[1]?.replaceAll("'", "");
      const row = new RegExp(
        `^\\| [^|]*\`${name}\`[^|]*\\| ${/\b(word|whole)\(/.test(code!) ? `\`${fallback}\`` : ""} ?\\|`,
        "m",
      );
      expect(page, name).toMatch(row);
    }
  });
});

/** A body's text without its comments and without its autonomous subprograms. */
function outsideAutonomous(text: string): string {
  return text
    .replace(/--.*$/gm, "")
    .replace(/^ {2}(?:procedure|function) (\w+)[\s\S]*?^ {2}end \1;$/gm, (subprogram) =>
      subprogram.includes("pragma autonomous_transaction") ? "" : subprogram,
    );
}

describe("docs/worker-api.md", () => {
  it("holds the specification that is installed", () => {
    const [, spec] = /```sql\n(create or replace package rtm_worker_api[\s\S]*?)```/.exec(
      read("docs/worker-api.md"),
    )!;
    expect(`${spec!.trimEnd()}\n/\n`).toBe(read("sql/api/worker/rtm_worker_api.pks"));
  });
});

describe("grants", () => {
  it("name objects that exist", () => {
    const names = created(includes("install").map((path) => read(`sql/${path}`)));
    for (const script of readdirSync(join(SQL_FOLDER, "grants"))) {
      for (const [, name] of read(`sql/grants/${script}`).matchAll(/&owner\.\.(\w+)/gi)) {
        if (name === "RTM_QUEUE") continue;
        expect(names, `${script}: ${name}`).toContain(`PACKAGE ${name!.toUpperCase()}`);
      }
    }
  });
});

/** Names in our PL/SQL exist, as far as it can be known without a database. */
import { describe, expect, it } from "vitest";
import { bodyProblems, problemsOf } from "./plsql/catalogue.ts";
import { catalogueOf, file, files } from "./plsql/compiled.ts";
import { select, VARIANTS } from "./plsql/conditional.ts";

const specifications = files.filter(({ path }) => path.endsWith(".pks"));
const specificationOf = (path: string) =>
  files.find((one) => one.path === path.replace(/\.pkb$/, ".pks"))?.text ?? "";

describe.each(Object.keys(VARIANTS))("names, compiled as %s", (variant) => {
  const catalogue = catalogueOf(variant);
  it.each(files.map(({ path }) => path))("%s", (path) => {
    const flags = VARIANTS[variant]!;
    const specification = path.endsWith(".pkb") ? select(specificationOf(path), flags) : "";
    expect(problemsOf(select(file(path), flags), catalogue, specification)).toEqual([]);
  });
});

describe.each(Object.keys(VARIANTS))("specification and body agree, compiled as %s", (variant) => {
  const flags = VARIANTS[variant]!;
  const compiled = (text: string) => select(text, flags);
  it.each(specifications.map(({ path }) => path))("%s", (path) => {
    const body = file(path.replace(/\.pks$/, ".pkb"));
    expect(bodyProblems(compiled(file(path)), compiled(body))).toEqual([]);
  });
});

describe("a planted mistake is caught", () => {
  const catalogue = catalogueOf("full23");
  const check = (path: string, right: string, wrong: string, variant = "full23") => {
    const text = file(path);
    expect(text, `${path} does not hold what the mistake replaces`).toContain(right);
    const flags = VARIANTS[variant]!;
    return problemsOf(
      select(text.replace(right, wrong), flags),
      variant === "full23" ? catalogue : catalogueOf(variant),
      select(specificationOf(path), flags),
    );
  };

  it.each([
    [
      "supplied package",
      "aq/rtm_aq.pkb",
      "utl_raw.length",
      "utl_row.length",
      "unknown package utl_row",
    ],
    [
      "supplied subprogram",
      "aq/rtm_aq.pkb",
      "dbms_aq.enqueue(",
      "dbms_aq.enqueu(",
      "dbms_aq.enqueu",
    ],
    [
      "parameter of a supplied call",
      "aq/rtm_aq.pkb",
      "message_properties => l_properties",
      "properties => l_properties",
      "properties",
    ],
    [
      "missing parameter of a supplied call",
      "aq/queue.sql",
      "queue_payload_type => 'RAW',",
      "",
      "queue_payload_type",
    ],
    ["constant", "aq/rtm_aq.pkb", "dbms_aq.on_commit", "dbms_aq.on_comit", "dbms_aq.on_comit"],
    [
      "record field",
      "aq/rtm_aq.pkb",
      "l_properties.expiration",
      "l_properties.expire",
      "no field expire",
    ],
    [
      "parameter of our own call",
      "api/public/websocket_api.pkb",
      "p_on_error   => p_on_error",
      "p_on_eror    => p_on_error",
      "p_on_eror",
    ],
    [
      "count of positional parameters",
      "api/public/websocket_api.pkb",
      "rtm_sender.put(p_message, p_settings, p_base_url, p_api_key)",
      "rtm_sender.put(p_message, p_settings, p_base_url)",
      "needs p_api_key",
    ],
    [
      "our own subprogram",
      "api/admin/rtm_admin.pkb",
      "rtm_aq.header(",
      "rtm_aq.headr(",
      "rtm_aq.headr",
    ],
    [
      "local call",
      "api/worker/rtm_worker_api.pkb",
      "check_range('p_offset', p_offset, 1, 2147483647)",
      "check_range('p_offset', p_offset, 1)",
      "needs p_high",
    ],
    [
      "column of a row",
      "api/http/rtm_relay.pkb",
      "p_settings.base_url",
      "p_settings.base_uri",
      "no field base_uri",
    ],
    [
      "column in SQL",
      "api/http/rtm_sender.pkb",
      "set attempts = attempts + 1",
      "set attempted = attempts + 1",
      "attempted is no column",
    ],
    [
      "qualified column in SQL",
      "api/http/rtm_sender.pkb",
      "min(d.seq)",
      "min(d.seqno)",
      "no column seqno",
    ],
    [
      "column of a dictionary view",
      "api/admin/rtm_admin.pkb",
      "where status <> 'VALID'",
      "where state <> 'VALID'",
      "state",
    ],
    [
      "table",
      "api/base/rtm_config_api.pkb",
      "from rtm_database\n",
      "from rtm_databases\n",
      "unknown table rtm_databases",
    ],
    [
      "variable",
      "api/base/rtm_text.pkb",
      "l_offset := l_end;",
      "l_ofset := l_end;",
      "l_ofset is not declared",
    ],
    [
      "column of a loop's record",
      "api/admin/rtm_admin.pkb",
      "worker.host",
      "worker.hostname",
      "no field hostname",
    ],
    [
      "feature",
      "api/worker/rtm_worker_api.pkb",
      "when rtm_features.c_lock then",
      "when rtm_features.c_locks then",
      "rtm_features.c_locks",
    ],
    [
      "call in a string",
      "install/check.sql",
      "rtm_jobs.refresh;",
      "rtm_jobs.refesh;",
      "rtm_jobs.refesh",
    ],
  ])("%s", (_, path, right, wrong, expected) => {
    expect(check(path, right, wrong).join("\n")).toContain(expected);
  });

  it("a parameter of UTL_HTTP", () => {
    const problems = check(
      "api/http/rtm_http.pkb",
      "http_version    =>",
      "version         =>",
      "aq19",
    );
    expect(problems.join("\n")).toContain("has no parameter version");
  });

  it("a body that differs from its specification", () => {
    const body = file("api/admin/rtm_jobs.pkb").replace(
      "procedure refresh is",
      "procedure refresh(p in number) is",
    );
    expect(bodyProblems(file("api/admin/rtm_jobs.pks"), body)).toEqual([
      expect.stringContaining("refresh"),
    ]);
  });
});

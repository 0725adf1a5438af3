/**
 * The PL/SQL that the worker holds in TypeScript: its anonymous blocks and its calls of
 * RTM_WORKER_API go through the same grammar and catalogue as the scripts, and each bind has the
 * direction of its parameter.
 */
import oracledb from "oracledb";
import { describe, expect, it } from "vitest";
import { PAYLOAD_KINDS } from "../../worker/config.ts";
import { dequeueBlock } from "../../worker/plsql-dequeue.ts";
import { RtmWorkerApi } from "../../worker/rtm-worker-api.ts";
import type { Session } from "../../worker/session.ts";
import { textBinds } from "../../worker/text-dequeue.ts";
import { problemsOf } from "./plsql/catalogue.ts";
import { catalogueOf } from "./plsql/compiled.ts";
import { closing, parts, tokens } from "./plsql/lexer.ts";
import { parse } from "./plsql/parse.ts";
import { bridgeGrammarGap } from "./plsql/units.ts";

const PARSE_DEADLINE_MS = 15 * 60_000;
const REQUEST = { queueName: "SHOP.DASHBOARD", kind: "JMS_TEXT", waitMs: 1000 } as const;
const catalogue = catalogueOf("full23");

interface Call {
  readonly name: string;
  readonly sql: string;
  readonly binds: Readonly<Record<string, unknown>>;
}

/** One call of every method, as the session would get it. */
async function apiCalls(): Promise<Call[]> {
  const calls: Call[] = [];
  const outBinds = {
    items: [],
    resend: 0,
    api: 1,
    token: 1,
    queue: "RTM.RTM_QUEUE",
    id: null,
    pieces: [],
    next: null,
  };
  const execute = async (name: string, sql: string, binds: Call["binds"]) => {
    calls.push({ name, sql, binds });
    return { outBinds };
  };
  const api = new RtmWorkerApi({ execute, executeWaiting: execute } as unknown as Session, "RTM");
  const heartbeat = { workerId: "w", queueName: "Q", host: "h", version: "1", state: "ACTIVE" };
  await api.versions();
  await api.acquireLease("RTM.RTM_QUEUE", 1000);
  await api.acquireLease("RTM.EVENTS", 1000, "BILLING");
  await api.leaseToken("RTM.RTM_QUEUE");
  await api.heartbeat(heartbeat as Parameters<RtmWorkerApi["heartbeat"]>[0]);
  await api.backlog("RTM.RTM_QUEUE", 100);
  await api.backlog("RTM.EVENTS", 100, "BILLING");
  await api.receipts([{ id: "00", recipients: 1 }]);
  await api.claimCheck("00");
  await api.deleteClaimChecks(["00"]);
  await api.dequeueText(REQUEST);
  await api.setAside("RTM.RTM_QUEUE", { id: "00", code: "not_json", reason: "why", payload: "x" });
  await api.revocations();
  const member = { channel: "c", user: "u", connections: 1, info: "{}", sinceMs: 1 };
  await api.presence("w", { pass: 1, members: [member] });
  await api.probe("nonce", "rtm:probe");
  return calls;
}

const calls = await apiCalls();
const blocks: Call[] = PAYLOAD_KINDS.map((kind) => ({
  name: `block for ${kind}`,
  sql: dequeueBlock(kind),
  binds: textBinds({ ...REQUEST, kind }),
}));
const all = [...calls, ...blocks];

const placeholders = (sql: string) =>
  [...new Set([...sql.matchAll(/(?<![\w'"]):(\w+)/g)].map(([, name]) => name))].sort();

/** `in`, `out` per parameter, and the bind that the call gives it: `["p_wait_s in", "wait in"]`. */
function directions({ sql, binds }: Call): [string, string][] {
  const list = tokens(sql);
  const at = list.findIndex(({ text }) => text === "rtm_worker_api") + 2;
  const procedure = catalogue.packages
    .get("rtm_worker_api")!
    .subprograms.find(({ name }) => name === list[at]?.text)!;
  const header = tokens(procedure.header);
  const open = header.findIndex(({ text }) => text === "(");
  const declared = parts(header, open, closing(header, open));
  return parts(list, at + 1, closing(list, at + 1)).map((argument, position) => {
    const [name, direction] = declared[position]!;
    const bind = argument[1]!.text;
    const given = binds[bind] as { dir?: number } | string | number | null;
    const isOut = typeof given === "object" && given?.dir === oracledb.BIND_OUT;
    return [`${name!.text} ${direction!.text}`, `${bind} ${isOut ? "out" : "in"}`];
  });
}

describe("the worker's PL/SQL", () => {
  it("is called for every subprogram but release_lease, which ends with the session", () => {
    const called = new Set(calls.map(({ sql }) => /rtm_worker_api\.(\w+)/.exec(sql)![1]));
    const specified = catalogue.packages.get("rtm_worker_api")!.subprograms.map(({ name }) => name);
    expect([...called, "release_lease"].sort()).toEqual([...specified].sort());
  });

  it("parses", { timeout: PARSE_DEADLINE_MS }, async () => {
    const { failures } = await parse(
      all.map(({ name, sql }) => ({ name, text: `${bridgeGrammarGap(sql)}\n/\n` })),
    );
    expect(failures).toEqual([]);
  });

  it.each(all.map((call) => [call.name, call] as const))("%s: names and counts", (_, { sql }) => {
    expect(problemsOf(sql, catalogue)).toEqual([]);
  });

  it.each(all.map((call) => [call.name, call] as const))("%s: binds", (_, { sql, binds }) => {
    expect(placeholders(sql)).toEqual(Object.keys(binds).sort());
  });

  it.each(calls.map((call) => [call.name, call] as const))("%s: directions", (_, call) => {
    const pairs = directions(call);
    expect(pairs.length).toBeGreaterThan(0);
    for (const [parameter, bind] of pairs) {
      expect(bind.split(" ")[1], `${parameter}, bound as ${bind}`).toBe(parameter.split(" ")[1]);
    }
  });

  it("calls functions of SQL in SQL only", () => {
    for (const { name, sql } of blocks) expect(sql, name).not.toMatch(/:=\s*json_serialize/);
  });
});

describe("a planted mistake in the worker's PL/SQL is caught", () => {
  const sqlOf = (name: string) => all.find((call) => call.name === name)!.sql;
  const planted = (name: string, right: string | RegExp, wrong: string) => {
    const text = sqlOf(name).replace(right, wrong);
    expect(text).not.toBe(sqlOf(name));
    return problemsOf(text, catalogue).join("\n");
  };

  it.each([
    ["one argument less", "backlog", ":queue, ", "", "needs p_exceptions"],
    ["one argument more", "delete_claims", "(", "(:more, ", "takes 1 parameters"],
    ["procedure", "claim", ".claim(", ".claims(", "unknown name rtm_worker_api.claims"],
    ["record field", "block for RAW", "l_options.wait", "l_options.waits", "no field waits"],
    ["constant", "block for RAW", "dbms_aq.remove", "dbms_aq.removed", "dbms_aq.removed"],
    ["variable", "block for JSON", "lower(rawtohex(l_id))", "lower(rawtohex(l_ids))", "l_ids"],
    ["type", "block for JMS_TEXT", "dbms_sql.varchar2a", "dbms_sql.varchar2b", "varchar2b"],
  ])("%s", (_, name, right, wrong, expected) => {
    expect(planted(name, right, wrong)).toContain(expected);
  });

  it("a direction", () => {
    const call = calls.find(({ name }) => name === "dequeue_text")!;
    const wrong = directions({ ...call, binds: { ...call.binds, id: "00" } });
    expect(wrong).toContainEqual(["p_message_id out", "id in"]);
  });

  it("a missing END", { timeout: PARSE_DEADLINE_MS }, async () => {
    const text = `${sqlOf("block for RAW").replace("end loop;", "")}\n/\n`;
    const { failures } = await parse([{ name: "planted", text }]);
    expect(failures.map(({ name }) => name)).toEqual(["planted"]);
  });
});

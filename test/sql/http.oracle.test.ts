/**
 * The HTTP ways on a real Oracle. The database must reach this process: RTM_TEST_CALLBACK_HOST is the
 * address under which it does (172.17.0.1 for a container on Docker's default network).
 */
import oracledb, { type Connection } from "oracledb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyDatabase } from "../../cli/db/verify.ts";
import type { Relay } from "../../relay/relay.ts";
import { oracleAccess } from "../oracle-contract/target.ts";
import { API_KEY, Client, startTestRelay } from "../relay/support.ts";
import { temporaryDirectory } from "../support/programs.ts";
import { broadcast, OracleSchema, rows, value } from "./oracle-schema.ts";

const callbackHost = process.env.RTM_TEST_CALLBACK_HOST;
const oracle = await oracleAccess();
const unreachable = "skip" in oracle || callbackHost === undefined;
const TIMEOUT_MS = 300_000;
const GRANTS = ["create session, create table, create view, create procedure, create sequence"];

describe.skipIf(unreachable)("without AQ", { timeout: 120_000 }, () => {
  let relay: Relay;
  beforeAll(async () => {
    relay = await startTestRelay({ host: "0.0.0.0" });
  });
  afterAll(() => relay?.close());

  async function create(grants: readonly string[]) {
    if ("skip" in oracle) throw new Error(oracle.skip);
    return OracleSchema.create(oracle, grants);
  }

  /** Installs into a new schema, and points it to the relay. */
  async function install(grants: readonly string[]) {
    const schema = await create(grants);
    return { schema, ...(await installInto(schema)) };
  }

  async function installInto(schema: OracleSchema) {
    await schema.asAdmin(`begin
      dbms_network_acl_admin.append_host_ace(host => '${callbackHost}', ace => xs$ace_type(
        privilege_list => xs$name_list('http'), principal_name => '${schema.name}',
        principal_type => xs_acl.ptype_db));
    end;`);
    const report = await schema.run("install");
    const app = await schema.connect();
    for (const [name, setting] of [
      ["allow_http", "Y"],
      ["base_url", `http://${callbackHost}:${relay.port}`],
      ["api_key", API_KEY],
      ["log_payload", "NONE"],
    ]) {
      await app.execute("begin rtm_config_api.set_value(:name, :setting); end;", { name, setting });
    }
    return { report, app };
  }

  it(
    "rtm db verify skips what needs the queue, and sends one message",
    async () => {
      const { schema } = await install([...GRANTS, "create job"]);
      await using _ = schema;
      const lines: string[] = [];
      const report = `${temporaryDirectory()}/report.md`;
      const code = await verifyDatabase(schema.logon, { report }, (line) => lines.push(line));
      expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
      expect(code).toBe(0);
      expect(lines.join("\n")).toContain("the transport is HTTP_DEFERRED");
    },
    TIMEOUT_MS,
  );

  it(
    "a job sends after commit, and never after rollback",
    async () => {
      const { schema, app } = await install([...GRANTS, "create job"]);
      await using _ = schema;
      expect(await value(app, "select transport from rtm_status")).toBe("HTTP_DEFERRED");
      const client = await Client.connect(relay, { subscribe: [{ channel: "public:http" }] });
      await client.nextN(2);
      await broadcast(app, "public:http", '"rolled back"');
      await app.rollback();
      const payload = '{"n":9007199254740993,"text":"grüße 😀"}';
      await broadcast(app, "public:http", payload);
      await app.commit();
      expect(await client.nextText()).toContain(`"payload":${payload},`);
      const settled = () =>
        rows(app, "select status, http_status, payload_json from rtm_log order by id");
      await expect.poll(settled, { timeout: 60_000 }).toEqual([
        ["QUEUED", null, null],
        ["SENT", 200, null],
      ]);
      expect(await value(app, "select count(*) from rtm_delivery")).toBe(0);
      await client.close();
    },
    TIMEOUT_MS,
  );

  describe("a relay that is away", () => {
    /** Sets the relay's URL; the job stays off, so that the test runs the sender itself. */
    const pointTo = async (app: Connection, url: string) => {
      await app.execute("begin rtm_config_api.set_value('base_url', :url); end;", { url });
      await app.execute("begin dbms_scheduler.disable('RTM_SEND_JOB', force => true); end;");
    };
    const away = async () => {
      const installed = await install([...GRANTS, "create job"]);
      // Nothing listens there.
      await pointTo(installed.app, `http://${callbackHost}:1`);
      return installed;
    };
    const run = "begin rtm_sender.run; end;";

    it(
      "what has expired costs no attempt, and what is behind it is not kept waiting",
      async () => {
        const { schema, app } = await away();
        await using _ = schema;
        for (const text of ["1", "2", "3"]) await broadcast(app, "public:http", text);
        await app.commit();
        await app.execute(
          "update rtm_delivery set expires_utc = sys_extract_utc(systimestamp) - interval '1' second where dbms_lob.substr(body, 1, 1) <> hextoraw('33')",
        );
        await app.commit();
        await app.execute(run);
        expect(
          await rows(
            app,
            "select status, extra_info from rtm_log where status <> 'QUEUED' order by id",
          ),
        ).toEqual([
          ["FAILED", "expired after 0 attempts (setting expiration_s)"],
          ["FAILED", "expired after 0 attempts (setting expiration_s)"],
        ]);
        expect(await rows(app, "select attempts from rtm_delivery")).toEqual([[1]]);
        // Left alone: the next run does not try.
        await app.execute(run);
        expect(await rows(app, "select attempts from rtm_delivery")).toEqual([[1]]);
        expect(await value(app, "select relays from rtm_status")).toContain("failed 1 times");
      },
      TIMEOUT_MS,
    );

    it(
      "a call that sends at once fails fast while the relay is left alone, in every session",
      async () => {
        const { schema, app } = await away();
        await using _ = schema;
        await app.execute("begin rtm_config_api.set_value('http_deferred', 'N'); end;");
        await expect(broadcast(app, "public:http", "1")).rejects.toThrow("ORA-20113");
        const other = await schema.connect();
        await expect(broadcast(other, "public:http", "2")).rejects.toThrow("ORA-20114");
        // Another relay is not left alone.
        await pointTo(app, `http://${callbackHost}:${relay.port}/`);
        await broadcast(app, "public:http", "3");
      },
      TIMEOUT_MS,
    );

    it(
      "two spellings of a URL are one relay, and keep their order",
      async () => {
        const { schema, app } = await away();
        await using _ = schema;
        const url = `http://${callbackHost}:${relay.port}`;
        await pointTo(app, url);
        for (const spelling of [null, `${url}/`, url.replace("http", "HTTP")]) {
          await app.execute(
            "begin websocket_api.broadcast_item(:key, :url, 'public:http', 'e', '1'); end;",
            { key: spelling === null ? null : API_KEY, url: spelling },
          );
        }
        await app.commit();
        expect(await rows(app, "select distinct relay from rtm_delivery")).toEqual([["-"]]);
      },
      TIMEOUT_MS,
    );
  });

  it(
    "without jobs the call sends, and leaves nothing behind in the session",
    async () => {
      const { schema, app } = await install(GRANTS);
      await using _ = schema;
      const timeout = "begin utl_http.get_transfer_timeout(:seconds); end;";
      const seconds = async () =>
        (
          await app.execute<{ seconds: number }>(timeout, {
            seconds: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          })
        ).outBinds?.seconds;
      const before = await seconds();
      const client = await Client.connect(relay, { subscribe: [{ channel: "public:http" }] });
      await client.nextN(2);
      await broadcast(app, "public:http", "1");
      await app.rollback();
      expect(await client.next()).toMatchObject({ payload: 1 });
      await app.execute("begin rtm_config_api.set_value('api_key', 'wrong'); end;");
      await expect(broadcast(app, "public:http", "2")).rejects.toThrow(/ORA-20113.*401/);
      await app.rollback();
      expect(await rows(app, "select status from rtm_log order by id")).toEqual([
        ["SENT"],
        ["FAILED"],
      ]);
      expect(await seconds()).toBe(before);
      await client.close();
    },
    TIMEOUT_MS,
  );

  it(
    "MLE sends, where the database has it",
    async ({ skip }) => {
      await using schema = await create(GRANTS);
      const missing = await schema.grantMle();
      if (missing !== undefined && process.env.RTM_TEST_ORACLE_MLE === "required") {
        throw new Error(`RTM_TEST_ORACLE_MLE=required, but MLE does not run: ${missing}`);
      }
      skip(missing !== undefined, `no MLE: ${missing}`);
      const { report, app } = await installInto(schema);
      expect(report).toContain("ok      HTTP (MLE)");
      // What RTM_HTTP was compiled to: without MLE it does not know the module's function.
      const calls = `select referenced_name from user_dependencies where name = 'RTM_HTTP'
        and type = 'PACKAGE BODY' and referenced_name = 'WEBSOCKET_SEND_BROADCAST'`;
      expect(await rows(app, calls)).toHaveLength(1);
      await app.execute("begin rtm_config_api.set_value('transport', 'HTTP'); end;");
      expect(await value(app, "select transport from rtm_status")).toBe("HTTP");
      const client = await Client.connect(relay, { subscribe: [{ channel: "public:http" }] });
      await client.nextN(2);

      // The module by itself: its answer has a form that UTL_HTTP cannot give.
      const send = async (key: string) => {
        const { outBinds } = await app.execute<{ answer: string }>(
          `begin
             :answer := websocket_send_broadcast(
               p_api_key => :key, p_base_url => :url, p_channel => 'public:http',
               p_event_name => 'mle', p_payload => '{"by":"module"}', p_message_id => null,
               p_ts_ms => null, p_timeout_s => 5);
           end;`,
          {
            answer: { dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize: 32_767 },
            key,
            url: `http://${callbackHost}:${relay.port}`,
          },
        );
        return JSON.parse(outBinds!.answer) as { status: number; body: string };
      };
      expect((await send(API_KEY)).status).toBe(200);
      expect(await client.next()).toMatchObject({ eventName: "mle", payload: { by: "module" } });
      expect((await send("wrong")).status).toBe(401);

      // And on the way of a broadcast.
      const payload = '{"n":9007199254740993,"text":"grüße 😀"}';
      await broadcast(app, "public:http", payload);
      await app.commit();
      expect(await client.nextText()).toContain(`"payload":${payload},`);
      expect(await rows(app, "select status, http_status from rtm_log")).toEqual([["SENT", 200]]);
      await app.execute("begin rtm_config_api.set_value('api_key', 'wrong'); end;");
      await expect(broadcast(app, "public:http", "2")).rejects.toThrow(/ORA-20113.*401/);

      // A module that is replaced fails the next call of each session that has used it (ORA-04106): the
      // same call by hand shows that it does here, and a broadcast of another session does not notice.
      await app.execute("begin rtm_config_api.set_value('api_key', :key); end;", { key: API_KEY });
      const other = await schema.connect();
      await broadcast(other, "public:http", "3");
      expect(await client.next()).toMatchObject({ payload: 3 });
      const admin = await schema.connect();
      const source = await rows<[string]>(
        admin,
        "select text from user_source where name = 'WEBSOCKET_SENDER_MODULE' and type = 'MLE MODULE' order by line",
      );
      const module = source.map(([text]) => text.replace(/\n$/, "")).join("\n");
      const start = module.indexOf("// MLE module");
      await admin.execute(
        `create or replace mle module websocket_sender_module language javascript as\n${module.slice(start)}`,
      );
      await expect(send(API_KEY)).rejects.toThrow("ORA-04106");
      await broadcast(other, "public:http", "4");
      expect(await client.next()).toMatchObject({ payload: 4 });
      await client.close();
    },
    TIMEOUT_MS,
  );
});

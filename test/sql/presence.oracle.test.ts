/** Who is here, and what is revoked, on a real Oracle: RTM_WORKER_API of version 2 and its tables. */
import oracledb, { type Connection } from "oracledb";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../common/logger.ts";
import type { PresentMember } from "../../relay/contract/presence-feed.ts";
import { PresencePass, RtmWorkerApi } from "../../worker/rtm-worker-api.ts";
import { Session } from "../../worker/session.ts";
import { oracleAccess } from "../oracle-contract/target.ts";
import { OracleSchema, rows, value } from "./oracle-schema.ts";

const oracle = await oracleAccess();
const TIMEOUT_MS = 300_000;
const SINCE_MS = 1_795_333_000_123;

const member = (channel: string, user: string, connections = 1, info?: string): PresentMember => ({
  channel,
  user,
  connections,
  info,
  sinceMs: SINCE_MS,
});

describe.skipIf("skip" in oracle)("who is here", { timeout: 60_000 }, () => {
  let schema: OracleSchema;
  let app: Connection;
  let session: Session;
  let api: RtmWorkerApi;

  beforeAll(async () => {
    if ("skip" in oracle) throw new Error(oracle.skip);
    schema = await OracleSchema.create(oracle);
    await schema.run("install");
    app = await schema.connect();
    session = await Session.open(
      schema.logon,
      { connectTimeout: 20_000, callGrace: 60_000, maxSessionAge: 3_600_000 },
      { action: "presence", log: createLogger("silent") },
    );
    api = new RtmWorkerApi(session, schema.name);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await session?.discard();
    await schema?.[Symbol.asyncDispose]();
  }, TIMEOUT_MS);

  const { changes, everybody, first, further, last } = PresencePass;
  type Pass = (typeof PresencePass)[keyof typeof PresencePass];
  const tell = (pass: Pass, members: PresentMember[], source = "w1") =>
    api.presence(source, { pass, members });
  const shown = async () =>
    (
      await rows<[string, string, number]>(
        app,
        "select channel, user_name, connections from rtm_presence order by 1, 2",
      )
    ).map((row) => row.join(" "));
  const events = async () => {
    const queue = await app.getQueue(`${schema.name}.RTM_EVENTS`);
    queue.deqOptions.wait = oracledb.AQ_DEQ_NO_WAIT;
    queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
    const found: string[] = [];
    for (;;) {
      const message = await queue.deqOne();
      if (message === undefined) break;
      const { v, event, channel, user, ts } = JSON.parse(String(message.payload)) as Record<
        string,
        unknown
      >;
      expect([v, typeof ts]).toEqual([1, "number"]);
      found.push([event, channel, user].filter(Boolean).join(" "));
    }
    await app.commit();
    return found.sort();
  };
  beforeEach(async () => {
    for (const table of ["rtm_member", "rtm_member_source", "rtm_present"]) {
      await app.execute(`delete from ${table}`);
    }
    await app.commit();
    await app.execute("begin rtm_config_api.set_value('presence_events', 'Y'); end;");
    await events();
  });

  it("is everybody at first, then what has changed", async () => {
    expect(await tell(changes, [member("a", "SCOTT")])).toBe(true);
    expect(await shown()).toEqual([]);
    const info = '{"name":"Scött 😀"}';
    expect(await tell(everybody, [member("a", "SCOTT", 2, info), member("b", "KING")])).toBe(false);
    expect(await shown()).toEqual(["a SCOTT 2", "b KING 1"]);
    expect(
      await rows(
        app,
        "select member_info, to_char(since_ts, 'YYYY-MM-DD HH24:MI:SS.FF3 TZR') from rtm_presence order by channel",
      ),
    ).toEqual([
      [info, "2026-11-22 07:36:40.123 UTC"],
      [null, "2026-11-22 07:36:40.123 UTC"],
    ]);
    await tell(changes, []);
    await tell(changes, [member("a", "SCOTT", 0), member("a", "ÄDÄMS"), member("b", "KING", 3)]);
    expect(await shown()).toEqual(["a ÄDÄMS 1", "b KING 3"]);
    await tell(everybody, []);
    expect(await shown()).toEqual([]);
  });

  it("is complete only with the last part of a list, and a list that broke off leaves no ghosts", async () => {
    await tell(everybody, [member("a", "OLD")]);
    await tell(first, [member("a", "GHOST")]);
    await tell(first, [member("a", "ONE")]);
    await tell(further, [member("a", "TWO")]);
    expect(await shown()).toEqual(["a GHOST 1", "a OLD 1", "a ONE 1", "a TWO 1"]);
    await tell(last, [member("a", "THREE")]);
    expect(await shown()).toEqual(["a ONE 1", "a THREE 1", "a TWO 1"]);
  });

  it("takes 10,000 members in one call, and refuses more", async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => member(`c${i % 50}`, `user ${i}`));
    await app.execute("begin rtm_config_api.set_value('presence_events', 'N'); end;");
    await tell(everybody, many);
    expect(await value(app, "select count(*) from rtm_presence")).toBe(10_000);
    await expect(tell(everybody, [...many, member("c", "ONE TOO MANY")])).rejects.toThrow(
      /ORA-20120.*p_channels.count/,
    );
  });

  it("vanishes 15 seconds after the worker's last word, and another one takes over", async () => {
    await tell(everybody, [member("a", "SCOTT"), member("a", "KING")]);
    await app.execute(
      "update rtm_member_source set seen_utc = seen_utc - interval '20' second where source = 'w1'",
    );
    await app.commit();
    expect(await shown()).toEqual([]);
    expect(await events()).toEqual(["joined a KING", "joined a SCOTT", "occupied a"]);
    await tell(everybody, [member("a", "SCOTT")], "w2");
    expect(await shown()).toEqual(["a SCOTT 1"]);
    expect(await events()).toEqual(["left a KING"]);
    expect(await tell(changes, [])).toBe(true);
  });

  it("is told as events: nobody comes or leaves twice", async () => {
    await tell(everybody, [member("a", "SCOTT")]);
    expect(await events()).toEqual(["joined a SCOTT", "occupied a"]);
    await tell(changes, [member("a", "SCOTT", 2)]);
    expect(await events()).toEqual([]);
    await tell(changes, [member("a", "SCOTT", 0), member("a", "KING")]);
    expect(await events()).toEqual(["joined a KING", "left a SCOTT"]);
    await tell(changes, [member("a", "KING", 0)]);
    expect(await events()).toEqual(["left a KING", "vacated a"]);
    await app.execute("begin rtm_config_api.set_value('presence_events', 'N'); end;");
    await tell(changes, [member("a", "SCOTT")]);
    expect(await events()).toEqual([]);
  });

  it("is told about 1,000 at a time, and the rest with the next report", async () => {
    await tell(
      everybody,
      Array.from({ length: 1_500 }, (_, i) => member("a", `user ${i}`)),
    );
    expect(await events()).toHaveLength(1_001);
    await tell(changes, []);
    expect(await events()).toHaveLength(500);
  });

  it("is for others through MEMBERS only", async () => {
    await tell(everybody, [member("a", "SCOTT", 2, '{"n":1}'), member("b", "KING")]);
    expect(
      await rows(
        app,
        "select user_name, connections, member_info from table(websocket_api.members('a'))",
      ),
    ).toEqual([["SCOTT", 2, '{"n":1}']]);
    await expect(rows(app, "select * from table(websocket_api.members('a*'))")).rejects.toThrow(
      "ORA-20101",
    );
    const other = await OracleSchema.create(oracle as Exclude<typeof oracle, { skip: string }>, [
      "create session",
    ]);
    await using _ = other;
    await app.execute(`grant execute on websocket_api to ${other.name}`);
    const stranger = await other.connect();
    expect(
      await rows(
        stranger,
        `select user_name from table(${schema.name}.websocket_api.members('b'))`,
      ),
    ).toEqual([["KING"]]);
    await expect(rows(stranger, `select * from ${schema.name}.rtm_presence`)).rejects.toThrow(
      "ORA-00942",
    );
  });

  it("has its expired events purged", async () => {
    await app.execute("begin rtm_config_api.set_value('expiration_s', '10'); end;");
    await tell(everybody, [member("a", "SCOTT")]);
    await app.execute("begin dbms_session.sleep(12); end;");
    const left = () => value(app, "select count(*) from aq$rtm_events_qt");
    const purged = async () => {
      await app.execute("begin rtm_admin.purge; end;");
      return await left();
    };
    expect(await left()).toBe(2);
    // Oracle's queue monitor moves them in its own time.
    await expect.poll(purged, { timeout: 50_000, interval: 2_000 }).toBe(0);
    await app.execute("begin rtm_config_api.set_value('expiration_s', null); end;");
  });

  describe("a revocation", () => {
    const secret = "begin rtm_config_api.set_token_secret('k1', rpad('x', 40, 'x')); end;";
    const items = async () => {
      const queue = await app.getQueue(`${schema.name}.RTM_QUEUE`);
      queue.deqOptions.wait = oracledb.AQ_DEQ_NO_WAIT;
      queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
      const found: unknown[] = [];
      for (;;) {
        const message = await queue.deqOne();
        if (message === undefined) break;
        expect(message.expiration).toBe(-1);
        const [header, body] = String(message.payload).split("\n");
        const { v, op, ts } = JSON.parse(header!) as Record<string, unknown>;
        expect([v, typeof ts]).toEqual([2, "number"]);
        found.push({ op, ...JSON.parse(body!) });
      }
      await app.commit();
      return found;
    };

    it("is a row and an item of the caller's transaction", async () => {
      await app.execute(secret);
      await app.execute("begin websocket_api.revoke_user('scott'); end;");
      await app.rollback();
      expect(await items()).toEqual([]);
      expect(await api.revocations()).toEqual([]);
      await app.execute(`begin
        websocket_api.revoke_user(' scott ');
        websocket_api.revoke_session(12345678901234);
        websocket_api.unsubscribe_user('scott', 'room:1');
        websocket_api.disconnect_user('scott');
        websocket_api.disconnect_user('scott', true);
        websocket_api.forget_last('room:1', null);
      end;`);
      expect(await api.revocations()).toEqual([]);
      await app.commit();
      const who = { user: "scott", self: "user:SCOTT" };
      const sid = expect.stringMatching(/^[0-9a-f]{32}$/);
      expect(await items()).toEqual([
        { op: "revoke", ...who },
        { op: "revoke", sid },
        { op: "unsubscribe", ...who, channel: "room:1" },
        { op: "disconnect", ...who },
        { op: "disconnect", ...who, stop: true },
        { op: "forget", channel: "room:1", eventName: "message" },
      ]);
      const before = expect.any(Number);
      expect((await api.revocations()).map((text) => JSON.parse(text))).toEqual([
        { op: "revoke", ...who, before },
        { op: "revoke", sid, before },
        { op: "unsubscribe", ...who, channel: "room:1", before },
      ]);
    });

    it("is given in as many answers as it takes, and purged when no token can meet it", async () => {
      await app.execute("delete from rtm_revocation");
      await app.execute(`begin
        for i in 1 .. 250 loop
          websocket_api.revoke_user('user ' || i);
        end loop;
      end;`);
      await app.commit();
      const found = (await api.revocations()).map((text) => JSON.parse(text) as { user: string });
      expect(found.map(({ user }) => user)).toEqual(
        Array.from({ length: 250 }, (_, i) => `user ${i + 1}`),
      );
      await app.execute(
        "update rtm_revocation set until_utc = until_utc - interval '26' hour where mod(id, 2) = 0",
      );
      await app.commit();
      expect(await api.revocations()).toHaveLength(125);
      await app.execute("begin rtm_admin.purge; end;");
      expect(await value(app, "select count(*) from rtm_revocation")).toBe(125);
      await items();
    });

    it("needs the queue", async () => {
      await app.execute("begin rtm_config_api.set_value('transport', 'OFF'); end;");
      for (const call of [
        "revoke_user('scott')",
        "revoke_session(1)",
        "unsubscribe_user('scott', 'a')",
        "disconnect_user('scott')",
        "forget_last('a', 'b')",
      ]) {
        await expect(app.execute(`begin websocket_api.${call}; end;`), call).rejects.toThrow(
          "ORA-20116",
        );
      }
      await app.execute("begin rtm_config_api.set_value('transport', 'AUTO'); end;");
      await expect(app.execute("begin websocket_api.revoke_session; end;")).rejects.toThrow(
        "ORA-20106",
      );
    });
  });
});

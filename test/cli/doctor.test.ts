import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import oracledb from "oracledb";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { checkVersion, reportLogonError } from "../../cli/doctor/database.ts";
import { diagnose } from "../../cli/doctor/doctor.ts";
import { type Finding, formatFinding } from "../../cli/doctor/report.ts";
import { createAdminServer } from "../../cli/service/admin.ts";
import { VERSION } from "../../cli/version.ts";
import { parseConfig } from "../../common/config.ts";
import { OraError, type RtmSchemaOptions } from "../../emulator/index.ts";
import { closeServer, listen } from "../../relay/http/listen.ts";
import type { Relay } from "../../relay/relay.ts";
import { SECRET, startTestRelay, token } from "../relay/support.ts";
import { startPathProxy } from "../support/path-proxy.ts";
import { rtm, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { PASSWORD, World } from "../worker/support.ts";

const QUEUE = "queue RTM.RTM_QUEUE";

interface Run {
  readonly findings: readonly Finding[];
  readonly text: string;
}

function linesOf({ findings }: Run): Map<string, { verdict: string; text: string }> {
  return new Map(
    findings.map((finding) => {
      const line = formatFinding(finding);
      const prefix = `${finding.verdict.padEnd(11)} ${finding.check}: `;
      expect(line.startsWith(prefix)).toBe(true);
      expect(line).not.toContain("\n");
      const check = finding.check.replace(/^relay http.*/, "relay");
      return [check, { verdict: finding.verdict, text: line.slice(prefix.length) }];
    }),
  );
}

const failed = (run: Run) =>
  [...linesOf(run)].filter(([, { verdict }]) => verdict === "FAILED").map(([check]) => check);

/** What the emulator cannot be: an older database, one that encrypts, a locked account. */
describe("rtm doctor on errors and versions of other databases", () => {
  it.each([
    ["NJS-533", "native encryption", /use TLS \(tcps\)/],
    ["NJS-530", "network", /host name cannot be resolved/],
    ["NJS-506", "network", /TLS handshake/],
    ["NJS-505", "logon", /wallet/],
    ["NJS-138", "logon", /too old/],
    ["ORA-28000", "logon", /account is locked/],
    ["ORA-28001", "logon", /password has expired/],
    ["ORA-01045", "logon", /grant CREATE SESSION/],
    ["ORA-99999", "logon", /see the message/],
  ])("%s is a failure of %s", (code, check, fix) => {
    const findings: Finding[] = [];
    const error = Object.assign(new Error(`${code}: something\nHelp: a link`), { code });
    reportLogonError(error, (finding) => findings.push(finding));
    expect(findings[0]).toMatchObject({ check, verdict: "FAILED", detail: `${code}: something` });
    expect(findings[0]!.fix).toMatch(fix);
  });

  /** The driver itself, which fails before it opens a socket. */
  const connect = (attributes: object) =>
    oracledb
      .getConnection({ user: "u", password: "p", ...attributes } as oracledb.ConnectionAttributes)
      .then(
        () => expect.unreachable("it connected"),
        (error: unknown) => error,
      );

  it.each([
    ["that is missing", () => "/nonexistent/wallet"],
    ["that is empty", () => temporaryDirectory()],
    [
      "for automatic logons only",
      () => {
        const directory = temporaryDirectory();
        writeFileSync(join(directory, "cwallet.sso"), "x");
        return directory;
      },
    ],
  ])("names the wallet, not the connect string, for one %s", async (_what, wallet) => {
    const findings: Finding[] = [];
    const walletLocation = wallet();
    const error = await connect({ connectString: "tcps://127.0.0.1:9/freepdb1", walletLocation });
    reportLogonError(error, (finding) => findings.push(finding));
    expect(findings[0]!.detail).toContain(`${walletLocation}/ewallet.pem`);
    expect(findings[0]!.fix).toMatch(/^database\.walletLocation holds no readable ewallet\.pem/);
  });

  it("sends to tnsnames.ora when an entry before the alias is broken", async () => {
    const configDir = temporaryDirectory();
    const good =
      "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=9))(CONNECT_DATA=(SERVICE_NAME=xx)))";
    writeFileSync(join(configDir, "tnsnames.ora"), `BROKEN = (ADDRESS=(HOST=x)\nGOOD = ${good}\n`);
    const findings: Finding[] = [];
    const error = await connect({ connectString: "good", configDir });
    reportLogonError(error, (finding) => findings.push(finding));
    expect(findings[0]!.fix).toContain("an entry of tnsnames.ora at or before its own");
  });

  it.each([
    [1_803_000_000, "FAILED", "18.3"],
    [1_928_000_000, "ok", "19.28"],
    [2_304_000_000, "ok", "23.4"],
  ])("version %i is %s", (serverVersion, verdict, detail) => {
    const findings: Finding[] = [];
    checkVersion({ serverVersion }, (finding) => findings.push(finding));
    expect(findings).toMatchObject([{ check: "version", verdict, detail }]);
  });
});

describe("rtm doctor", () => {
  let world: World;
  let relay: Relay;
  let admin: Server;

  async function startWorld(schema: RtmSchemaOptions = {}): Promise<void> {
    world = await World.start({}, { schemaVersion: VERSION, ...schema });
  }

  beforeEach(async () => {
    relay = await startTestRelay();
    admin = createAdminServer({ registry: relay.registry, readiness: () => relay.readiness() });
    await listen(admin, "127.0.0.1", 0, "service.admin.port");
  });

  afterEach(async () => {
    await closeServer(admin);
    await relay.close();
    await world[Symbol.asyncDispose]();
  });

  function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
      RTM_DATABASE_USER: "RTM",
      RTM_DATABASE_PASSWORD: PASSWORD,
      RTM_RELAY_PORT: String(relay.port),
      RTM_SERVICE_ADMIN_PORT: String((admin.address() as AddressInfo).port),
      RTM_RELAY_TOKENS_SECRETS: JSON.stringify([{ kid: "k1", secret: SECRET }]),
      ...more,
    };
  }

  async function run(
    options: Partial<Parameters<typeof diagnose>[1]> = {},
    more: NodeJS.ProcessEnv = {},
  ): Promise<Run> {
    const findings: Finding[] = [];
    const config = parseConfig(rtmConfig, {}, { RTM_RELAY_INSECURE: "true", ...environment(more) });
    await diagnose(config, options, (finding) => findings.push(finding));
    const text = findings.map((finding) => formatFinding(finding)).join("\n");
    expect(text).not.toContain(PASSWORD);
    expect(text).not.toContain(SECRET);
    return { findings, text };
  }

  /** The line of one check. */
  async function lineOf(
    check: string,
    more: NodeJS.ProcessEnv = {},
    options: Parameters<typeof run>[0] = {},
  ) {
    const lines = linesOf(await run(options, more));
    expect([...lines.keys()]).toContain(check);
    return lines.get(check)!;
  }

  it("finds nothing where all is well, one line per check", async () => {
    await startWorld();
    world.startWorker();
    await until("the worker waits", () => world.emulator.queue("RTM.RTM_QUEUE").waiters === 1);
    const lines = linesOf(await run());
    expect([...lines].filter(([, { verdict }]) => verdict !== "ok")).toEqual([]);
    expect([...lines.keys()]).toEqual([
      "network",
      "native encryption",
      "logon",
      "version",
      "password expiry",
      "package RTM.RTM_WORKER_API",
      "lease",
      "clock offset",
      QUEUE,
      `${QUEUE} started`,
      `${QUEUE} retries`,
      `${QUEUE} payload`,
      `${QUEUE} dequeue right`,
      `${QUEUE} backlog`,
      `${QUEUE} exception queue`,
      "worker sessions",
      "relay",
      "websocket",
      "readiness",
    ]);
    expect(lines.get("worker sessions")!.text).toMatch(/^1 from /);
    await until("logged off", () =>
      world.emulator.sessions().every(({ action }) => action !== "doctor"),
    );
  });

  it("changes nothing and leaves messages to the worker", async () => {
    await startWorld();
    const connection = await world.connect();
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await run();
    const [message] = world.emulator.queue("RTM.RTM_QUEUE").messages();
    expect(message).toMatchObject({ status: "ready", attempts: 0 });
  });

  it("prints the lines, a count, and exits with 0, 1 or 2", async () => {
    await startWorld();
    const well = await rtm(["doctor"], environment()).finished;
    expect(well).toMatchObject({ code: 0, stderr: "" });
    const lines = well.stdout.trimEnd().split("\n");
    expect(lines[0]).toBe("ok          configuration: no file: environment and defaults");
    expect(lines).toContain(`ok          ${QUEUE} payload: RAW`);
    expect(lines.at(-1)).toBe("0 failed, 0 warnings");
    await relay.close();
    const ill = await rtm(["doctor"], environment()).finished;
    expect(ill).toMatchObject({ code: 1, stderr: "" });
    expect(ill.stdout).toMatch(/\n1 failed, 0 warnings\n$/);
  });

  it("exits with 2 for a wrong configuration", async () => {
    await startWorld();
    const finished = await rtm(["doctor"], environment({ RTM_DATABASE_USR: "x" })).finished;
    expect(finished).toMatchObject({ code: 2, stdout: "" });
    expect(finished.stderr).toContain("RTM_DATABASE_USER");
  });

  describe("logon", () => {
    beforeEach(() => startWorld());

    it("nothing listens", async () => {
      await world.emulator.faults.refuseConnections();
      const finished = await run();
      expect(failed(finished)).toEqual(["network"]);
      expect(linesOf(finished).get("network")!.text).toMatch(/^NJS-503.*; fix: .*firewall/);
      expect(linesOf(finished).get("logon")!.verdict).toBe("skipped");
      // What needs no database is checked all the same.
      expect(linesOf(finished).get("relay")!.verdict).toBe("ok");
    });

    it("the database hangs", async () => {
      world.emulator.faults.freeze();
      const limits = { RTM_DATABASE_CONNECT_TIMEOUT: "1s", RTM_DATABASE_CALL_GRACE: "1s" };
      expect(await lineOf("network", limits)).toMatchObject({ verdict: "FAILED" });
    });

    it("the service is unknown", async () => {
      await world.emulator.faults.refuseConnections(12514);
      expect((await lineOf("network")).text).toContain(
        "fix: the listener does not know the service",
      );
    });

    it("the database hangs up in the middle of a check", async () => {
      world.emulator.onStatement("from user_users", ({ session }) => {
        world.emulator.faults.kill(session.id);
        return new Promise(() => {});
      });
      const line = await lineOf("database");
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toMatch(/^NJS-500/);
    });

    it("wrong password, tried once only", async () => {
      const before = world.emulator.roundTrips;
      const line = await lineOf("logon", { RTM_DATABASE_PASSWORD: "wrong" });
      expect(line.verdict).toBe("FAILED");
      expect(line.text).toMatch(/^ORA-01017.*fix: wrong user or password/);
      const logons = world.emulator.roundTrips - before;
      expect(logons).toBeLessThanOrEqual(6);
    });

    it("the password file is missing", async () => {
      const more = {
        RTM_DATABASE_PASSWORD: undefined,
        RTM_DATABASE_PASSWORD_FILE: "/nonexistent/x",
      };
      expect((await lineOf("logon", more)).text).toMatch(
        /database\.passwordFile: .* cannot be read.*fix:/,
      );
    });

    it("no database is configured", async () => {
      const line = await lineOf("database", { RTM_DATABASE_CONNECT_STRING: "" });
      expect(line.verdict).toBe("warning");
    });
  });

  describe("account", () => {
    beforeEach(() => startWorld());

    it.each([
      [{ ACCOUNT_STATUS: "OPEN", DAYS_LEFT: 90 }, "ok"],
      [{ ACCOUNT_STATUS: "OPEN", DAYS_LEFT: 3.5 }, "warning"],
      [{ ACCOUNT_STATUS: "EXPIRED(GRACE)", DAYS_LEFT: 30 }, "warning"],
    ])("%j is %s", async (row, verdict) => {
      world.emulator.onStatement("from user_users", () => ({ rows: [row] }));
      expect((await lineOf("password expiry")).verdict).toBe(verdict);
    });

    it("what the user may not see is printed as not visible", async () => {
      const hidden = () => {
        throw new OraError(942, "table or view does not exist");
      };
      world.emulator.onStatement("from v$session", hidden);
      world.emulator.onStatement("from user_users", hidden);
      const finished = await run();
      expect(failed(finished)).toEqual([]);
      expect(linesOf(finished).get("worker sessions")!.verdict).toBe("not visible");
      expect(linesOf(finished).get("password expiry")!.verdict).toBe("not visible");
    });
  });

  describe("RTM_WORKER_API", () => {
    const missing = () => {
      throw new OraError(6550, "line 1, column 7: PLS-00201: identifier must be declared");
    };

    it("is missing for our own queue", async () => {
      await startWorld();
      world.emulator.onStatement(/rtm_worker_api/i, missing);
      const finished = await run();
      expect(failed(finished)).toEqual(["package RTM.RTM_WORKER_API"]);
      expect(finished.text).toContain("fix: rtm db install in RTM, then sql/grants/worker.sql");
      expect(linesOf(finished).get(`${QUEUE} backlog`)!.verdict).toBe("not visible");
      expect(linesOf(finished).get(`${QUEUE} exception queue`)!.verdict).toBe("not visible");
    });

    it("is not needed for a foreign queue", async () => {
      await startWorld();
      world.emulator.onStatement(/rtm_worker_api/i, missing);
      const queues = JSON.stringify([{ name: "RTM_QUEUE", channel: "dashboard" }]);
      const line = await lineOf("package RTM.RTM_WORKER_API", { RTM_WORKER_QUEUES: queues });
      expect(line.verdict).toBe("not visible");
    });

    it("has another specification", async () => {
      await startWorld({ apiVersion: 199 });
      const line = await lineOf("package RTM.RTM_WORKER_API");
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toContain("version 199");
    });

    it("is of another release", async () => {
      await startWorld({ schemaVersion: "0.0.9" });
      const line = await lineOf("package RTM.RTM_WORKER_API");
      expect(line).toMatchObject({ verdict: "warning" });
      expect(line.text).toContain(`version 0.0.9, ours is ${VERSION}`);
    });

    it("cannot give a lease", async () => {
      await startWorld({ lease: false });
      const line = await lineOf("lease");
      expect(line.verdict).toBe("warning");
      expect(line.text).toMatch(
        /only one worker may run; fix: grant execute on sys.dbms_lock to RTM/,
      );
    });

    it.each([
      [5_000, "warning", "ahead"],
      [-120_000, "FAILED", "behind; tokens are refused"],
    ])("a clock offset of %i ms is a %s", async (clockOffsetMs, verdict, text) => {
      await startWorld({ clockOffsetMs });
      const line = await lineOf("clock offset");
      expect(line.verdict).toBe(verdict);
      expect(line.text).toContain(text);
    });
  });

  describe("queue", () => {
    it("does not exist", async () => {
      await startWorld();
      const queues = JSON.stringify([{ name: "RTM.NO_QUEUE", payload: "RAW" }]);
      const finished = await run({}, { RTM_WORKER_QUEUES: queues });
      const lines = linesOf(finished);
      expect(lines.get("queue RTM.NO_QUEUE")!.verdict).toBe("not visible");
      expect(lines.get("queue RTM.NO_QUEUE dequeue right")).toMatchObject({ verdict: "FAILED" });
      expect(lines.get("queue RTM.NO_QUEUE dequeue right")!.text).toMatch(
        /^ORA-24010.*worker\.sql/,
      );
    });

    it("is stopped for dequeue", async () => {
      await startWorld();
      world.emulator.queue("RTM.RTM_QUEUE").stop({ enqueue: false, dequeue: true });
      const line = await lineOf(`${QUEUE} started`);
      expect(line.verdict).toBe("FAILED");
      expect(line.text).toBe("not for dequeue; fix: exec dbms_aqadm.start_queue('RTM.RTM_QUEUE')");
    });

    it("has Oracle's default of retries", async () => {
      await startWorld({ maxRetries: 5 });
      const line = await lineOf(`${QUEUE} retries`);
      expect(line.verdict).toBe("warning");
      expect(line.text).toContain("max_retries => 1000");
    });

    it("carries something else than configured", async () => {
      await startWorld();
      const queues = JSON.stringify([{ name: "RTM_QUEUE", payload: "JSON" }]);
      const line = await lineOf(`${QUEUE} payload`, { RTM_WORKER_QUEUES: queues });
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toContain("the configuration says JSON");
    });

    it.each([
      [{ TYPE: "OBJECT", OBJECT_TYPE: "SYS.AQ$_JMS_TEXT_MESSAGE" }, "ok", "JMS_TEXT"],
      [{ TYPE: "OBJECT", OBJECT_TYPE: "SALES.ORDER_T" }, "FAILED", "RAW, JSON and JMS text only"],
      [{ RECIPIENTS: "MULTIPLE" }, "FAILED", "set queues[].consumer"],
      [{ TYPE: null }, "not visible", "set queues[].payload"],
      [{ RETRY_DELAY: 60 }, undefined, ""],
    ])("the dictionary says %j", async (more, verdict, text) => {
      await startWorld();
      world.emulator.onStatement("from all_queues q left join", () => ({
        rows: [
          {
            QUEUE_TABLE: "RTM_QT",
            ENQUEUE_ENABLED: "YES",
            DEQUEUE_ENABLED: "YES",
            MAX_RETRIES: 1000,
            RETRY_DELAY: 0,
            TYPE: "RAW",
            OBJECT_TYPE: null,
            RECIPIENTS: "SINGLE",
            ...more,
          },
        ],
      }));
      const lines = linesOf(await run());
      const payload = lines.get(`${QUEUE} payload`)!;
      if (verdict === undefined) {
        expect(lines.get(`${QUEUE} retries`)).toMatchObject({ verdict: "warning" });
      } else {
        expect(payload.verdict).toBe(verdict);
        if (verdict !== "ok") expect(payload.text).toContain(text);
      }
    });

    it("has old messages that nobody takes, and messages in the exception queue", async () => {
      await startWorld();
      world.emulator.onStatement(/rtm_worker_api\.backlog/i, () => ({
        out: { READY: 12, OLDEST: 600, EXCEPTIONS: 3 },
      }));
      const lines = linesOf(await run());
      expect(lines.get(`${QUEUE} backlog`)).toMatchObject({ verdict: "warning" });
      expect(lines.get(`${QUEUE} backlog`)!.text).toContain("12 ready, the oldest for 600 s; fix:");
      expect(lines.get(`${QUEUE} exception queue`)).toMatchObject({ verdict: "warning" });
    });

    it("is held by a session that was abandoned", async () => {
      await startWorld();
      world.emulator.onStatement("from v$session", () => ({
        rows: [
          {
            SID: 77,
            SERIAL: 4711,
            MACHINE: "old-host",
            ACTION: "dequeue RTM.RTM_QUEUE",
            IDLE_S: 999,
            IN_TRANSACTION: 1,
          },
        ],
      }));
      const line = await lineOf("worker sessions");
      expect(line.verdict).toBe("warning");
      expect(line.text).toMatch(/^77,4711 of old-host.*alter system disconnect session/);
    });
  });

  it("looks into a multi-consumer queue as the consumer", async () => {
    await startWorld();
    const events = world.emulator.createQueue({
      name: "RTM.EVENTS",
      subscribers: ["BILLING", "AUDIT"],
    });
    events.enqueue("{}");
    const [as, entry] = ["queue RTM.EVENTS:BILLING", { name: "EVENTS", channel: "events" }];
    const asked = async (consumer: object) =>
      linesOf(await run({}, { RTM_WORKER_QUEUES: JSON.stringify([{ ...entry, ...consumer }]) }));
    const named = await asked({ consumer: "billing" });
    expect(named.get(`${as} payload`)).toMatchObject({ verdict: "ok" });
    expect(named.get(`${as} dequeue right`)).toMatchObject({ verdict: "ok" });
    expect(named.get(`${as} backlog`)!.text).toMatch(/^1 ready/);
    const unnamed = await asked({});
    expect(unnamed.get("queue RTM.EVENTS payload")!.text).toContain("set queues[].consumer");
    expect(named.get(`${as} lease`)).toBeUndefined();
    world.schema.apiVersion = 2;
    expect((await asked({ consumer: "billing" })).get(`${as} lease`)).toMatchObject({
      verdict: "warning",
      text: expect.stringMatching(/version 2, which knows no consumers.*rtm db install, then/),
    });
  });

  describe("relay", () => {
    beforeEach(() => startWorld());

    it("does not run", async () => {
      await relay.close();
      const line = await lineOf("relay");
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toMatch(/cannot be reached: .*ECONNREFUSED.*systemctl start rtm/);
    });

    it("is something else", async () => {
      const server: Server = createServer((_request, response) => response.end("hello"));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      onTestFinished(() => void server.close());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      expect((await lineOf("relay", {}, { url })).text).toContain("something else answers");
    });

    it("is behind a proxy that does not pass the upgrade on", async () => {
      const proxy = createServer((request, response) => {
        // Nobody listens to upgrades here, so that they come as ordinary requests.
        const { upgrade: _stripped, connection: _dropped, ...headers } = request.headers;
        const target = { port: relay.port, path: request.url, method: request.method, headers };
        request.pipe(
          httpRequest(target, (answer) => {
            response.writeHead(answer.statusCode!, answer.headers);
            answer.pipe(response);
          }),
        );
      });
      await listen(proxy, "127.0.0.1", 0, "test");
      onTestFinished(() => closeServer(proxy));
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const line = await lineOf("websocket", {}, { url });
      expect(line.verdict).toBe("FAILED");
      expect(line.text).toMatch(
        /the answer to an upgrade is 4\d\d.*fix: the proxy has to pass the headers Upgrade/,
      );
    });

    it("is a standby", async () => {
      relay.setServing(false);
      const line = await lineOf("readiness");
      expect(line).toMatchObject({ verdict: "warning" });
      expect(line.text).toContain("not ready: standby (another node serves)");
    });

    it("runs insecurely", async () => {
      await relay.close();
      relay = await startTestRelay({ insecure: true });
      expect(await lineOf("readiness")).toMatchObject({ verdict: "warning" });
    });

    it.each([
      ["test-key-0123456789", "ok"],
      ["another-key-0123456", "FAILED"],
    ])("takes the worker's key or not: %s", async (key, verdict) => {
      const more = {
        RTM_WORKER_PUBLISH_URL: `http://127.0.0.1:${relay.port}`,
        RTM_WORKER_PUBLISH_KEY: key,
      };
      expect((await lineOf("publish key", more)).verdict).toBe(verdict);
    });

    it("says that the worker's key must be trusted", async () => {
      const key = "plain-key-0123456789";
      await relay.close();
      relay = await startTestRelay({ apiKeys: [{ name: "worker", key }] });
      const more = {
        RTM_WORKER_PUBLISH_URL: `http://127.0.0.1:${relay.port}`,
        RTM_WORKER_PUBLISH_KEY: key,
      };
      const line = await lineOf("publish key", more);
      expect(line.verdict).toBe("FAILED");
      expect(line.text).toMatch(/not trusted.*set trusted to true/);
    });
  });

  describe("--probe", () => {
    beforeEach(() => startWorld());

    it("sends a message the whole way and prints each leg", async () => {
      world.startWorker({}, { publisher: relay.publisher });
      const line = await lineOf("probe", {}, { probe: true });
      expect(line.verdict).toBe("ok");
      expect(line.text).toMatch(
        /^AQ: call [\d.]+ ms, commit [\d.]+ ms, commit to WebSocket [\d.]+ ms \(a ping .* takes [\d.]+ ms\)$/,
      );
    });

    it("opens its page below the path of the URL", async () => {
      world.startWorker({}, { publisher: relay.publisher });
      const url = `${await startPathProxy(relay.port)}/rtm`;
      expect(await lineOf("probe", {}, { probe: true, url })).toMatchObject({ verdict: "ok" });
    });

    it("takes a token from a file", async () => {
      world.startWorker({}, { publisher: relay.publisher });
      const file = join(temporaryDirectory(), "token");
      writeFileSync(file, await token(["rtm:probe"]));
      const more = { RTM_RELAY_TOKENS_SECRETS: undefined };
      expect(await lineOf("probe", more, { probe: true, tokenFile: file })).toMatchObject({
        verdict: "ok",
      });
    });

    it("says when nothing arrives", async () => {
      const line = await lineOf("probe", {}, { probe: true, timeout: 1000 });
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toMatch(/^nothing arrived within 1s; fix: is a worker running/);
    });

    it("says when the relay refuses the token", async () => {
      const secrets = JSON.stringify([{ kid: "k1", secret: "x".repeat(32) }]);
      const line = await lineOf("probe", { RTM_RELAY_TOKENS_SECRETS: secrets }, { probe: true });
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toContain("4101");
    });

    it("says when WEBSOCKET_API fails", async () => {
      world.schema.failures.set("probe", new OraError(20101, "bad channel"));
      const line = await lineOf("probe", {}, { probe: true });
      expect(line).toMatchObject({ verdict: "FAILED" });
      expect(line.text).toContain("ORA-20101: bad channel");
    });

    it("is skipped without a database", async () => {
      await world.emulator.faults.refuseConnections();
      expect(await lineOf("probe", {}, { probe: true })).toMatchObject({ verdict: "skipped" });
    });
  });
});

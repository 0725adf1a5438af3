/** `rtm worker` on a host without a relay, and what `rtm check-config --role` finds. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { API_KEY, Client, startTestRelay } from "../relay/support.ts";
import { rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { PASSWORD, World } from "../worker/support.ts";

const KEY = { RTM_RELAY_TOKENS_SECRETS: JSON.stringify([{ kid: "k", secret: "x".repeat(32) }]) };

describe("rtm worker", () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
  });

  afterEach(() => world[Symbol.asyncDispose]());

  const environment = (port: number) => ({
    RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
    RTM_DATABASE_USER: "RTM",
    RTM_DATABASE_PASSWORD: PASSWORD,
    RTM_WORKER_PUBLISH_URL: `http://127.0.0.1:${port}`,
    RTM_WORKER_PUBLISH_KEY: API_KEY,
    RTM_SERVICE_ADMIN_PORT: "0",
  });

  it("posts to the relay and serves metrics and readiness of its own", async () => {
    const relay = await startTestRelay();
    try {
      const client = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
      expect(await client.next()).toMatchObject({ op: "connected" });
      expect(await client.next()).toMatchObject({ op: "subscribed" });
      const worker = rtm(["worker"], environment(relay.port));
      const connection = await world.connect();
      await world.broadcast(connection, { n: 1 }, "public");
      await connection.commit();
      expect(await client.next()).toMatchObject({ channel: "public", payload: { n: 1 } });

      await until("it says where it listens", () => worker.stdout.includes('"adminPort"'));
      const admin = `http://127.0.0.1:${/"adminPort":(\d+)/.exec(worker.stdout)![1]}`;
      const ready = await fetch(`${admin}/readyz`);
      expect([ready.status, await ready.json()]).toEqual([
        200,
        { ready: true, reasons: [], warnings: [] },
      ]);
      const metrics = () => fetch(`${admin}/metrics`).then((response) => response.text());
      await until("the message is counted", async () =>
        /rtm_worker_messages_total\{[^}]*accepted[^}]*\} 1/.test(await metrics()),
      );
      expect(worker.stdout).toContain("publishing socket is open");
      expect((await fetch(`${admin}/api/broadcast`, { method: "POST" })).status).toBe(404);

      await world.emulator.faults.refuseConnections();
      for (const session of world.emulator.sessions()) world.emulator.faults.kill(session);
      await until("it is not ready", async () => (await fetch(`${admin}/readyz`)).status === 503);

      worker.child.kill("SIGTERM");
      expect(await worker.finished).toMatchObject({ code: 0, stderr: "" });
      client.terminate();
    } finally {
      await relay.close();
    }
  });

  it("says when the port of its admin listener is taken, and stops", async () => {
    const relay = await startTestRelay();
    try {
      const env = { ...environment(relay.port), RTM_SERVICE_ADMIN_PORT: String(relay.port) };
      const { code, stderr } = await rtm(["worker"], env).finished;
      expect(code).toBe(1);
      expect(stderr).toContain("service.admin.port");
    } finally {
      await relay.close();
    }
  });
});

describe("rtm check-config", () => {
  const check = (role: string[], env: NodeJS.ProcessEnv) =>
    rtm(["check-config", ...role], env).finished;
  const logon = { RTM_DATABASE_CONNECT_STRING: "db/RTM", RTM_DATABASE_USER: "RTM" };
  const database = { ...logon, RTM_DATABASE_PASSWORD: "secret" };
  const publish = { RTM_WORKER_PUBLISH_URL: "https://rtm.example.com" };

  it.each([
    ["serve", { ...KEY, ...database }],
    ["relay", KEY],
    ["worker", { ...database, ...publish }],
  ])("--role %s finds nothing", async (role, env) => {
    const run = await check(["--role", role], env);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("TimeoutStopSec must be above it");
  });

  it("--role serve finds every missing file at once, and a missing password", async () => {
    const env = {
      ...logon,
      RTM_RELAY_TOKENS_SECRETS: '[{"kid":"a","secretFile":"/nonexistent/secret"}]',
      RTM_RELAY_API_KEYS: '[{"name":"b","keyFile":"/nonexistent/key"}]',
    };
    const without = await check(["--role", "serve"], env);
    expect(without.code).toBe(2);
    expect(without.stderr).toContain("database.passwordFile is needed");
    const missing = await check(["--role", "serve"], {
      ...env,
      RTM_DATABASE_PASSWORD_FILE: "/nonexistent/password",
    });
    for (const file of ["password", "secret", "key"]) {
      expect(missing.stderr).toContain(
        `/nonexistent/${file} cannot be read: there is no such file`,
      );
    }
  });

  it.each([
    ["serve", KEY, "database.connectString is needed"],
    ["relay", database, "no keys are configured"],
    ["worker", database, "worker.publishUrl is needed"],
    [
      "relay",
      { RTM_RELAY_TOKENS_SECRETS: '[{"kid":"k","secretFile":"/nonexistent/secret"}]' },
      "/nonexistent/secret cannot be read",
    ],
  ])("--role %s finds what is missing", async (role, env, problem) => {
    const run = await check(["--role", role], env);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain(problem);
  });

  it("without a role looks at the values only", async () => {
    expect((await check([], KEY)).code).toBe(0);
  });
});

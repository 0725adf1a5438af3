/** kill -9 right after a revocation was answered: the token does not come to life again. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { post } from "../protocol-kit/client.ts";
import { API_KEY, Client, SECRET, token } from "../relay/support.ts";
import { Program, rtmPath, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";

const PATIENCE_MS = 60_000;

async function start(config: string): Promise<{ port: number; program: Program }> {
  const program = new Program(process.execPath, [rtmPath(), "relay", "--config", config]);
  const line = /^.*"msg":"relay listens".*$/m;
  await until(
    "the relay listens",
    () => {
      if (program.child.exitCode !== null) throw new Error(program.output);
      return line.test(program.stdout);
    },
    PATIENCE_MS,
  );
  return { program, ...(JSON.parse(line.exec(program.stdout)?.[0] ?? "") as { port: number }) };
}

it("revoked-and-killed: what was answered is remembered", {
  timeout: 3 * PATIENCE_MS,
}, async () => {
  const directory = temporaryDirectory();
  const config = join(directory, "rtm.json");
  const relay = {
    port: 0,
    tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
    apiKeys: [{ name: "admin", key: API_KEY, scopes: ["manage"] }],
  };
  const service = { admin: { port: 0 }, stateDirectory: join(directory, "state") };
  writeFileSync(config, JSON.stringify({ relay, service }), { mode: 0o600 });
  const users = Array.from({ length: 10 }, (_, n) => `U${n}`);
  const made = new Map<string, string>();
  for (const subject of users)
    made.set(subject, await token(["a"], { subject, lifetimeMs: 600_000 }));
  const first = await start(config);
  const revoke = (user: string) => post(first, { op: "revoke", user }, { "x-api-key": API_KEY });
  const open = await Client.connect(first, { token: made.get("U9") });
  expect(await open.next()).toMatchObject({ op: "connected" });
  for (const user of users.slice(0, 9)) {
    expect((await revoke(user)).body).toEqual({ ok: true });
  }
  expect((await revoke("U9")).body).toEqual({ ok: true });
  first.program.child.kill("SIGKILL");
  await first.program.exited;
  const second = await start(config);
  for (const user of users) {
    const client = await Client.connect(second, { token: made.get(user) });
    expect((await client.end()).code).toBe(4103);
  }
  const other = await Client.connect(second, { token: await token(["a"], { subject: "KING" }) });
  expect(await other.next()).toMatchObject({ op: "connected" });
});

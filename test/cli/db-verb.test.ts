/** The flags of `rtm db`; what its scripts do is tested in test/cli/db.test.ts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rtm, temporaryDirectory } from "../support/programs.ts";
import { PASSWORD, World } from "../worker/support.ts";

describe("rtm db", () => {
  let world: World;
  const users: string[] = [];

  beforeEach(async () => {
    users.length = 0;
    world = await World.start({ users: { RTM: PASSWORD, WORKER: "worker-password" } });
    world.emulator.onStatement(/rtm_status/i, ({ session }) => {
      users.push(session.resolve("X").split(".")[0]!);
      return { columns: ["NAME", "VALUE"], rows: [] };
    });
  });

  afterEach(() => world[Symbol.asyncDispose]());

  const environment = () => ({
    RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
    RTM_DATABASE_USER: "WORKER",
    RTM_DATABASE_PASSWORD: "worker-password",
  });

  it("logs on as the configured user", async () => {
    await rtm(["db", "status"], environment()).finished;
    expect(users).toEqual(["WORKER"]);
  });

  it("logs on as the owner, with a password from a file or from standard input", async () => {
    const file = join(temporaryDirectory(), "password");
    writeFileSync(file, `${PASSWORD}\n`);
    const args = ["db", "status", "--user", "RTM", "--password-file"];
    await rtm([...args, file], environment()).finished;
    await rtm([...args, "-"], environment(), `${PASSWORD}\n`).finished;
    expect(users).toEqual(["RTM", "RTM"]);
  });

  it.each([
    [["db", "uninstall"], 2, "--yes"],
    [["db", "install", "--user", "RTM"], 1, "--user needs --password-file"],
    [["db", "install", "--password-file", "/nonexistent"], 1, "/nonexistent cannot be read"],
    [["db"], 2, "install"],
  ])("%j is refused with %i", async (args, code, text) => {
    const run = await rtm(args, environment()).finished;
    expect(run.code).toBe(code);
    expect(run.stderr).toContain(text);
    expect(world.emulator.roundTrips).toBe(0);
  });

  it("needs to know where the database is", async () => {
    const run = await rtm(["db", "status"]).finished;
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("database.connectString is needed");
  });
});

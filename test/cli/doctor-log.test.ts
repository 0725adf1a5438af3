/** What `rtm doctor` says of the engine of a shared log. */
import { describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { checkLog } from "../../cli/doctor/log.ts";
import type { Finding } from "../../cli/doctor/report.ts";
import { parseConfig } from "../../common/config.ts";
import { logNode, publishMany } from "../faults/log-support.ts";
import { documentedRights } from "../support/engine-rights.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";

async function findings(log: object, more: object = {}): Promise<Finding[]> {
  const config = parseConfig(rtmConfig, { relay: { insecure: true, log, ...more } });
  const found: Finding[] = [];
  await checkLog(config, (finding) => found.push(finding));
  return found;
}

describe.skipIf(ENGINE_MISSING !== "")(`rtm doctor and the log's engine${ENGINE_MISSING}`, () => {
  it("says what it found, and changes nothing", async () => {
    const server = await RedisServer.start();
    const log = { kind: "valkey", url: server.url };
    expect(await findings(log)).toMatchObject([
      { check: "log engine", verdict: "ok" },
      { check: "log", verdict: "ok", detail: expect.stringContaining("empty") },
      { check: "log memory", verdict: "ok" },
      { check: "log persistence", verdict: "ok" },
    ]);
    expect(await server.command("DBSIZE")).toBe(0);
    const node = await logNode(server.url);
    await publishMany(node, "m", 3);
    expect((await findings(log))[1]?.detail).toContain(`${node.log.epoch}, 3 entries`);
  });

  it("warns when the engine has less memory than the log may take", async () => {
    const server = await RedisServer.start("--maxmemory", "64mb");
    const found = await findings({ kind: "valkey", url: server.url });
    expect(found).toContainEqual(
      expect.objectContaining({ check: "log memory", verdict: "warning" }),
    );
  });

  it("names each right that the engine's user lacks, and changes nothing", async () => {
    const server = await RedisServer.start();
    const url = server.url.replace("redis://", "redis://rtm:secret@");
    const rights = documentedRights();
    const user = (...rules: string[]) =>
      server.command("ACL", "SETUSER", "rtm", "reset", "on", ">secret", ...rules);
    const look = () =>
      findings({ kind: "valkey", url }, { clientEvents: { channels: ["room:*"] } });
    const without = (lacking: string) => user(...rights.filter((each) => each !== lacking));
    await user(...rights);
    expect((await look()).map(({ verdict }) => verdict)).toEqual(["ok", "ok", "ok", "ok"]);
    const events = ["+publish", "+subscribe", "&{rtm}:*"];
    for (const lacking of rights.filter((each) => /^[+~&]/.test(each))) {
      await without(lacking);
      const failed = (await look()).filter(({ verdict }) => verdict === "FAILED");
      expect(failed).toEqual([
        {
          check: events.includes(lacking) ? "client events" : "log engine",
          verdict: "FAILED",
          detail: expect.stringContaining(lacking === "+info" ? "'info'" : ` ${lacking}`),
          fix: expect.any(String),
        },
      ]);
    }
    await user(...rights.filter((each) => !["+zadd", "+rename", "~{rtm}:*"].includes(each)));
    const [several] = await look();
    expect(several?.detail).toContain("lacks ~{rtm}:* +zadd +rename;");
    await user(...rights.filter((each) => !events.includes(each)));
    expect((await look()).filter(({ verdict }) => verdict === "FAILED")).toMatchObject([
      { detail: expect.stringContaining("lacks +publish +subscribe") },
    ]);
    expect((await findings({ kind: "valkey", url })).every(({ verdict }) => verdict === "ok")).toBe(
      true,
    );
    expect(await server.command("DBSIZE")).toBe(0);
  });

  it("fails on an engine that a start would refuse, and on one that is away", async () => {
    const server = await RedisServer.start("--maxmemory-policy", "allkeys-lru");
    const log = { kind: "valkey", url: server.url };
    expect(await findings(log)).toMatchObject([
      { verdict: "FAILED", fix: expect.stringContaining("RTM_LOG_UNSUITABLE") },
    ]);
    await server.kill();
    expect(await findings(log)).toMatchObject([
      { verdict: "FAILED", fix: expect.stringContaining("RTM_LOG_UNREACHABLE") },
    ]);
  });
});

it("rtm doctor says nothing of the log in a node's own memory", async () => {
  expect(await findings({ kind: "memory" })).toEqual([]);
});

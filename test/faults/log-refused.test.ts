/** Engines that could not keep the log's promises: a start is refused, and says what to change. */
import { describe, expect, it } from "vitest";
import { EngineUnsuitableError } from "../../relay/log/valkey/errors.ts";
import { checkEngine, parseInfo } from "../../relay/log/valkey/suitability.ts";
import { RecordingReader } from "../log-contract/reader.ts";
import { message } from "../log-contract/support.ts";
import { valkeyLog } from "../log-contract/valkey.ts";
import { documentedRights } from "../support/engine-rights.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { logNode, publishMany, seen, untilReset, untilSettled } from "./log-support.ts";

async function refusal(url: string): Promise<unknown> {
  const log = valkeyLog(url);
  try {
    await log.follow(new RecordingReader());
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await log.close();
  }
}

describe.skipIf(ENGINE_MISSING !== "")(`engines that are refused${ENGINE_MISSING}`, () => {
  it("log-policy: one that evicts keys", async () => {
    const server = await RedisServer.start("--maxmemory-policy", "allkeys-lru");
    expect(await refusal(server.url)).toMatchObject({
      code: "RTM_LOG_UNSUITABLE",
      reason: "policy",
      message: expect.stringContaining("noeviction"),
    });
  });

  it("log-on-a-replica: one that is a replica", async () => {
    const master = await RedisServer.start();
    const replica = await RedisServer.start("--replicaof", "127.0.0.1", `${master.port}`);
    expect(await refusal(replica.url)).toMatchObject({ reason: "role" });
  });

  it("log-on-a-cluster: one in cluster mode", async () => {
    const server = await RedisServer.start("--cluster-enabled", "yes");
    expect(await refusal(server.url)).toMatchObject({ reason: "cluster" });
  });

  it("log-password: a wrong one, or none", async () => {
    const server = await RedisServer.start("--requirepass", "secret");
    const wrong = server.url.replace("redis://", "redis://:wrong@");
    expect(await refusal(wrong)).toMatchObject({ code: "RTM_LOG_DENIED" });
    expect(await refusal(server.url)).toMatchObject({ code: "RTM_LOG_DENIED" });
  });

  it("log-rights: works with the listed rights, and names the one that is missing", async () => {
    const server = await RedisServer.start();
    const url = server.url.replace("redis://", "redis://rtm:pass%20word@");
    await server.command("ACL", "SETUSER", "rtm", "on", ">pass word", ...documentedRights());
    const node = await logNode(url);
    await publishMany(node, "m", 3);
    await untilSettled(node);
    expect(seen(node, "m")).toHaveLength(15);
    const { epoch } = node.log;
    await server.command("SCRIPT", "FLUSH");
    await server.command("DEL", "{rtm}:state");
    await untilReset(node, epoch);
    await publishMany(node, "n", 2);
    await untilSettled(node);
    for (const [command, ...args] of [
      ["FLUSHALL"],
      ["SET", "{rtm}:x", "1"],
      ["GET", "other"],
      ["SCRIPT", "FLUSH"],
      ["CONFIG", "GET", "*"],
    ] as string[][]) {
      const answer = await server.command("ACL", "DRYRUN", "rtm", command as string, ...args);
      expect(`${answer}`).toMatch(/no permissions|has no permissions/);
    }
    await node.log.close();
    // Without these an append would end in its middle, and be given again for ever.
    await server.command("ACL", "SETUSER", "rtm", "-zadd", "-rename", "-xtrim");
    expect(await refusal(url)).toMatchObject({
      code: "RTM_LOG_DENIED",
      message: expect.stringContaining("lacks +xtrim +zadd +rename;"),
    });
    await server.command("ACL", "SETUSER", "rtm", "-info");
    expect(await refusal(url)).toMatchObject({
      code: "RTM_LOG_DENIED",
      message: expect.stringContaining("info"),
    });
  });

  it("log-full-ring: forgets a source's oldest ids by number, never by time", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url, { ids: 10 });
    for (let n = 0; n < 30; n++) await node.log.append([message(n)], { source: { name: "key:a" } });
    await node.log.append([message(0)], { source: { name: "key:b" } });
    const again = async (n: number, name: string) =>
      (await node.log.append([message(n)], { source: { name } }))[0];
    expect(await again(29, "key:a")).toMatchObject({ duplicate: true });
    expect(await again(20, "key:a")).toMatchObject({ duplicate: true });
    expect(await again(0, "key:b")).toMatchObject({ duplicate: true });
    expect(await again(9, "key:a")).toMatchObject({ duplicate: false });
    expect(await server.command("TTL", "{rtm}:ids:key:a:a")).toBe(-1);
    expect(await server.command("TTL", "{rtm}:state")).toBe(-1);
  });
});

describe("what INFO must say", () => {
  const good = {
    redis_version: "7.0.15",
    redis_mode: "standalone",
    role: "master",
    run_id: "a1".repeat(20),
    master_replid: "b2".repeat(20),
    maxmemory_policy: "noeviction",
  };
  const check = (more: Record<string, string | undefined>) =>
    checkEngine(
      parseInfo(
        Object.entries({ ...good, ...more })
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => `${name}:${value}\r\n`)
          .join(""),
      ),
    );

  it("takes Redis 6.2 and Valkey 7.2 and later, by Valkey's own version where it says one", () => {
    expect(check({})).toMatchObject({ kind: "redis", version: "7.0.15" });
    expect(check({ redis_version: "6.2.0" })).toMatchObject({ version: "6.2.0" });
    expect(check({ redis_version: "7.2.4", valkey_version: "8.1.1" })).toMatchObject({
      kind: "valkey",
      version: "8.1.1",
    });
    expect(() => check({ redis_version: "6.0.16" })).toThrow("Redis 6.2");
    expect(() => check({ redis_version: "5.0.7" })).toThrow("Redis 6.2");
    expect(() => check({ redis_version: "7.2.4", valkey_version: "7.1.0" })).toThrow(
      "valkey 7.1.0",
    );
    expect(() => check({ redis_version: undefined })).toThrow("unknown");
  });

  it.each([
    ["run_id", undefined],
    ["run_id", "0".repeat(40)],
    ["run_id", "a1b2"],
    ["master_replid", undefined],
    ["master_replid", "0".repeat(40)],
    ["master_replid", "not an id"],
  ])("refuses an engine whose %s is %s", (field, value) => {
    expect(() => check({ [field]: value })).toThrow(EngineUnsuitableError);
    expect(() => check({ [field]: value })).toThrow(/run_id or master_replid/);
  });

  it("does without the policy where the engine does not show it", () => {
    expect(check({ maxmemory_policy: undefined })).toMatchObject({ kind: "redis" });
  });
});

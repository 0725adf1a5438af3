/** Relays whose engine has the users of examples/cluster/users.acl, with all that a relay can do. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { documentedRights } from "../support/engine-rights.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { presenceRelay, presenceToken, ROOM, Visitor } from "./presence-support.ts";
import { API_KEY, Client, message, post, SOURCE, until } from "./support.ts";

/** Commands of this test's own connection, and one that nobody needs a right for. */
const OURS = ["auth", "acl|log", "client|kill", "config|resetstat"];

async function engine(): Promise<{ url: string; admin: Redis }> {
  const directory = await mkdtemp(join(tmpdir(), "rtm-acl-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const aclFile = join(directory, "users.acl");
  const users = await readFile("examples/cluster/users.acl", "utf8");
  await writeFile(
    aclFile,
    `${users.replace(">PASSWORD", ">secret")}user admin on >admin ~* &* +@all\n`,
  );
  const { port } = await RedisServer.start("--aclfile", aclFile);
  const admin = new Redis(port, "127.0.0.1", {
    username: "admin",
    password: "admin",
    protocol: 2,
  });
  onTestFinished(() => admin.disconnect());
  return { url: `redis://rtm:secret@127.0.0.1:${port}`, admin };
}

/** How often each command was called, those of scripts among them. */
async function calls(admin: Redis): Promise<Set<string>> {
  const text = await admin.info("commandstats");
  const found = [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)];
  return new Set(
    found.filter(([, , count]) => Number(count) > 0).map(([, name]) => name as string),
  );
}

describe.skipIf(ENGINE_MISSING !== "")(`users.acl of the example${ENGINE_MISSING}`, () => {
  it("allows every command that relays send, whatever they do, and no other", async () => {
    const { url, admin } = await engine();
    const node = () =>
      presenceRelay({
        log: { kind: "valkey", url, grace: "60s", bytes: "1MiB" },
        clientEvents: { channels: ["room:*"], perSecond: 1000 },
        retained: { count: 2 },
        duplicates: { count: 20 },
        limits: { commandsPerSecond: 100_000 },
        apiKeys: [
          { name: "worker", key: API_KEY, trusted: true, scopes: ["publish", "manage", "read"] },
        ],
      });
    const [a, b] = [await node(), await node()];
    // What was tried to find out about rights does not count.
    await admin.config("RESETSTAT");
    // As if the line had been cut: client events are heard again.
    await admin.call("CLIENT", "KILL", "TYPE", "pubsub");

    for (let n = 0; n < 60; n++) {
      const payload = "x".repeat(40_000);
      await a.publisher.publish(
        [message("room:1", payload), message("room:1", n, { eventName: `e${n}`, retain: 60 })],
        SOURCE,
      );
    }
    await post(b, { op: "forget", channel: "room:1", eventName: "e59" });
    const claims = { publish: ["room:*"] };
    const scott = await Visitor.enter(a, "SCOTT", { claims });
    const king = await Visitor.enter(b, "KING");
    await king.sees("KING", "SCOTT");
    let n = 0;
    await until("client events cross", async () => {
      const payload = n++;
      scott.client.send({ op: "publish", channel: ROOM, eventName: "client:x", payload });
      king.read();
      return king.others.some(({ op }) => op === "event");
    });
    await post(a, { op: "revoke", user: "SCOTT" });
    await king.sees("KING");
    const late = await Client.connect(b, {
      token: await presenceToken("ADAMS"),
      subscribe: [{ channel: ROOM, since: { last: 1 }, events: ["e58", "e59"] }],
    });
    onTestFinished(() => late.terminate());
    expect((await late.nextN(2))[1]).toMatchObject({ last: { sent: 2 } });

    // A new epoch: all that a node reads when it begins.
    await late.nextN(2);
    await admin.del("{rtm}:state");
    const told = await late.next();
    expect(told).toMatchObject({ op: "subscribed", recovered: false });
    await king.sees("KING");
    await until("it takes messages again", async () => {
      const [result] = await a.publisher.publish([message("room:1", "after")], SOURCE);
      return result?.status === "accepted";
    });

    expect(await admin.call("ACL", "LOG")).toEqual([]);
    const used = [...(await calls(admin))].filter((name) => !OURS.includes(name));
    // Asked by `rtm doctor`, by a log that nobody trims, and by this test too.
    const more = ["ping", "xlen", "del", "info"];
    const allowed = documentedRights().flatMap((rule) =>
      rule.startsWith("+") ? [rule.slice(1)] : [],
    );
    expect([...new Set([...used, ...more])].sort()).toEqual(allowed.sort());
  });
});

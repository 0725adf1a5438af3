/** A node that sleeps is taken for dead, and wakes; one that is killed leaves nobody behind. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { presenceRelay, ROOM, RULES, Visitor } from "../relay/presence-support.ts";
import { SECRET, until } from "../relay/support.ts";
import { Program, rtmPath, temporaryDirectory } from "../support/programs.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";

const PATIENCE_MS = 30_000;

describe.skipIf(ENGINE_MISSING !== "")(`a paused node${ENGINE_MISSING}`, () => {
  it("its users are gone while it sleeps; when it wakes who is still there is there, and no ghost", {
    timeout: 90_000,
  }, async () => {
    const engine = await RedisServer.start();
    const log = { kind: "valkey", url: engine.url, grace: "60s" };
    const file = join(temporaryDirectory(), "rtm.json");
    const relay = {
      port: 0,
      log,
      tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
      presence: { rules: RULES, grace: "300ms" },
    };
    writeFileSync(file, JSON.stringify({ relay, service: { admin: { enabled: false } } }));
    const sleeper = new Program(process.execPath, [rtmPath(), "relay", "--config", file]);
    const [, port] = (await sleeper.printed(/"port":(\d+)[^\n]*relay listens/)) as RegExpMatchArray;
    const a = { port: Number(port) } as Relay;
    const b = await presenceRelay({ log }, { presenceTimes: { beatMs: 500, goneMs: 5000 } });
    const watcher = await Visitor.enter(b, "KING");
    const stays = await Visitor.enter(a, "SCOTT");
    const goes = await Visitor.enter(a, "ADAMS");
    await watcher.sees("ADAMS", "KING", "SCOTT");
    sleeper.child.kill("SIGSTOP");
    const names = async (wanted: string) =>
      until(
        `${wanted} to be seen`,
        () => {
          watcher.read();
          return watcher.names === wanted;
        },
        PATIENCE_MS,
      );
    await names("KING");
    goes.client.ws.terminate();
    sleeper.child.kill("SIGCONT");
    await names("KING,SCOTT");
    await stays.sees("KING", "SCOTT");
    stays.client.send({ op: "unsubscribe", channels: [ROOM] });
    await names("KING");
    expect(await engine.command("HLEN", "{rtm}:t:node")).toBe(2);
    expect(watcher.client.closed).toBeUndefined();

    // The same with `kill -9`: who was there is seen until the node is taken for dead, and not longer.
    const ghosts = [await Visitor.enter(a, "ADAMS"), await Visitor.enter(a, "BLAKE")];
    await names("ADAMS,BLAKE,KING");
    sleeper.child.kill("SIGKILL");
    await sleeper.exited;
    for (const ghost of ghosts) await ghost.client.end();
    watcher.news();
    const again = await Visitor.enter(b, "BLAKE");
    await names("BLAKE,KING");
    // Who came to another node meanwhile never left.
    const changes = watcher.news().filter(({ op }) => op === "presence");
    expect(changes.flatMap(({ left }) => left)).toEqual(["ADAMS"]);
    await again.sees("BLAKE", "KING");
    expect(await engine.command("HLEN", "{rtm}:t:node")).toBe(1);
    expect(await engine.command("KEYS", "{rtm}:t:here:*")).toHaveLength(1);
  });
});

/** From PL/SQL to the page and back: revocations, and who is here, through the composed service. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { Client, SECRET, SOURCE, token } from "../relay/support.ts";
import { until } from "../support/until.ts";
import { log, PASSWORD, World } from "../worker/support.ts";

const ROOM = "room:1";

describe("people", () => {
  let world: World;
  let service: Service;

  const start = async () => {
    service = await startService({
      log,
      roles: { worker: true, relay: true },
      config: parseConfig(rtmConfig, {
        service: { admin: { enabled: false } },
        database: { connectString: world.emulator.connectString, user: "RTM", password: PASSWORD },
        worker: { presenceInterval: "1s" },
        relay: {
          port: 0,
          drain: { window: "10ms", grace: "1s" },
          tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
          presence: { rules: [{ channels: "room:*", database: true }], grace: "10ms" },
        },
      }),
    });
    await until("it serves", () => service.worker!.status()[0]!.state === "active");
  };
  beforeEach(async () => {
    world = await World.start();
    await start();
  });
  afterEach(async () => {
    await service.stop();
    await world[Symbol.asyncDispose]();
  });

  const tokenOf = (user: string) =>
    token([ROOM], {
      subject: user,
      now: Date.now() - 5_000,
      claims: { self: `user:${user}`, presence: { join: ["room:*"] } },
    });
  const enter = async (pass: string) => {
    const client = await Client.connect(service.relay!, {
      token: pass,
      subscribe: [{ channel: ROOM, presence: { join: true } }],
    });
    expect((await client.nextN(2)).map(({ op }) => op)).toEqual(["connected", "subscribed"]);
    return client;
  };

  it("revoke_user ends a user's page at commit; the old token stays worthless after a restart that lost all memory", async () => {
    const scott = await tokenOf("SCOTT");
    const page = await enter(scott);
    const other = await enter(await tokenOf("KING"));
    const connection = await world.connect();
    await connection.execute("begin websocket_api.revoke_user(:who); end;", { who: "scott" });
    await connection.rollback();
    await world.publish(1, 1, ROOM);
    expect((await page.next()).payload).toEqual({ n: 1 });
    await connection.execute("begin websocket_api.revoke_user(:who); end;", { who: "scott" });
    await connection.commit();
    expect((await page.end()).code).toBe(4103);
    await world.publish(2, 2, ROOM);
    expect((await other.nextN(2)).map(({ payload }) => payload)).toEqual([{ n: 1 }, { n: 2 }]);
    await other.close();
    await service.stop();
    await start();
    const again = await Client.connect(service.relay!, { token: scott });
    expect((await again.end()).code).toBe(4103);
  });

  it("a revocation for which there is no room holds no message back: everybody needs a new token", async () => {
    const before = Date.now() - 3000;
    const many = Array.from({ length: 100_000 }, (_, n) => ({
      op: "revoke" as const,
      user: `U${n}`,
      before,
    }));
    await service.relay!.publisher.control(many, SOURCE);
    const king = await enter(await tokenOf("KING"));
    const connection = await world.connect();
    await connection.execute("begin websocket_api.revoke_user(:who); end;", { who: "scott" });
    await connection.commit();
    await world.publish(1, 1, ROOM);
    expect((await king.end()).code).toBe(4103);
    await until("the queue is empty", () => world.queue.depth() === 0);
    expect(service.worker!.status()[0]).toMatchObject({ state: "active" });
  });

  it("who is in a room is shown by the database, and gone when they are", async () => {
    const scott = await enter(await tokenOf("SCOTT"));
    const king = await enter(await tokenOf("KING"));
    const shown = () => world.schema.presence.members.map(({ channel, user }) => [channel, user]);
    await until("both are shown", () => shown().length === 2);
    expect(shown()).toEqual([
      [ROOM, "KING"],
      [ROOM, "SCOTT"],
    ]);
    await king.close();
    await until("one is left", () => String(shown()) === `${ROOM},SCOTT`);
    await scott.close();
    await until("nobody is left", () => shown().length === 0);
  });
});

/** What the console asks of a real Oracle: exception queue, poison, workers, and putting back. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { QueueAside } from "../../cli/console/aside.ts";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { oracleAccess } from "../oracle-contract/target.ts";
import { broadcast, drain, OracleSchema } from "./oracle-schema.ts";

const oracle = await oracleAccess();
const TIMEOUT_MS = 300_000;

describe.skipIf("skip" in oracle)("the console's questions", { timeout: 120_000 }, () => {
  let schema: OracleSchema;

  beforeAll(async () => {
    if ("skip" in oracle) throw new Error(oracle.skip);
    schema = await OracleSchema.create(oracle);
    await schema.run("install");
  }, TIMEOUT_MS);
  afterAll(() => schema?.[Symbol.asyncDispose](), TIMEOUT_MS);

  it("lists what was given up and what was set aside, and puts back", async () => {
    const { connectString, user, password } = schema.logon;
    const config = parseConfig(rtmConfig, {
      database: { connectString, user, password },
      worker: { queues: [{ name: `${schema.name}.RTM_QUEUE` }] },
      relay: { insecure: true },
    });
    const log = createLogger("silent");
    const aside = new QueueAside({ config, stateDirectory: undefined, log });
    const app = await schema.connect();
    const consumer = await schema.connect();
    await broadcast(app, "exceptional", "1");
    await app.execute(`declare l_pieces rtm_worker_api.t_pieces; begin
      rtm_worker_api.set_aside(rtm_aq.queue_name, 'AB', 'odd', null, 'bad_header',
        'there is no header line', l_pieces); end;`);
    await app.commit();
    const retries = (most: number) =>
      app.execute(
        `begin dbms_aqadm.alter_queue(queue_name => 'RTM_QUEUE', max_retries => ${most}); end;`,
      );
    await retries(0);
    const queue = await consumer.getQueue(`${schema.name}.RTM_QUEUE`);
    queue.deqOptions.wait = 1;
    await queue.deqOne();
    await consumer.rollback();
    const exceptions = async () => {
      const { exceptions: found } = await aside.list();
      return found.may ? found.rows : [];
    };
    await expect.poll(exceptions, { timeout: 60_000, interval: 500 }).toHaveLength(1);
    const [row] = await exceptions();
    expect(row).toMatchObject({ channel: "exceptional", eventName: "event" });
    expect(Math.abs(Date.parse(row!.enqueued!) - Date.now())).toBeLessThan(3_600_000);
    const { poison, listeners } = await aside.list();
    expect(poison).toMatchObject({
      may: true,
      rows: [{ messageId: "AB", channel: "odd", where: "RTM_LOG" }],
    });
    expect(listeners).toBe("");
    await retries(1000);
    const { messageId } = await aside.requeue(row!.messageId);
    expect(messageId).toMatch(/^[0-9a-f]{32}$/);
    expect((await drain(consumer, schema.name)).map(({ channel }) => channel)).toEqual([
      "exceptional",
    ]);
    await expect(aside.requeue(row!.messageId)).rejects.toThrow("not in the exception queue");
  });
});

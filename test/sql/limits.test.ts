/** Figures that the database, the worker and the relay must agree on, each read where it stands. */
import oracledb from "oracledb";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { startEmulator } from "../../emulator/index.ts";
import { RtmSchema } from "../../emulator/schema/rtm-schema.ts";
import { channelPrefix, encodeMessage } from "../../relay/channels/encode.ts";
import { relayConfig } from "../../relay/config/config.ts";
import { nameProblem } from "../../relay/contract/message.ts";
import { textBytes } from "../../relay/wire/frame.ts";
import { queueConfig, workerConfig } from "../../worker/config.ts";
import { file } from "./plsql/compiled.ts";

/** The number that the pattern's first group finds. */
function figure(path: string, pattern: RegExp): number {
  const found = pattern.exec(file(path))?.[1];
  if (found === undefined) throw new Error(`${path} has no ${pattern}`);
  return Number(found);
}

const envelope = figure(
  "api/base/rtm_message.pkb",
  /c_envelope_bytes constant pls_integer := (\d+);/,
);
const [lowest, standard] = /when 'max_message_bytes'[\s\S]*?p_value, (\d+), \d+, (\d+)\)/
  .exec(file("api/base/rtm_config_api.pkb"))!
  .slice(1)
  .map(Number) as [number, number];

describe("size of a message", () => {
  it("has one default in SQL and in the relay", () => {
    const { limits } = parseConfig(relayConfig, { insecure: true });
    expect(standard).toBe(limits.messageBytes);
    expect(figure("api/base/rtm_config.sql", /max_message_bytes number default (\d+)/)).toBe(
      standard,
    );
    expect(lowest).toBeGreaterThan(envelope);
  });

  it("what SQL lets pass is never too large for the relay", () => {
    const name = '"\\'.repeat(64);
    expect(nameProblem(name)).toBeUndefined();
    const payload = `"${"x".repeat(standard - envelope - 2)}"`;
    const id = "f".repeat(32);
    const message = { channel: name, eventName: name, payload, id, ts: 8.64e15 };
    const { frame } = encodeMessage(message, channelPrefix(name), Number.MAX_SAFE_INTEGER, 0);
    expect(textBytes(frame)).toBeLessThanOrEqual(standard);
    expect(textBytes(frame)).toBeGreaterThan(standard - envelope);
  });
});

describe("time", () => {
  const wait = (text: string) => parseConfig(queueConfig, { name: "Q", wait: text }).wait;
  const range = () =>
    /check_range\('p_wait_s', p_wait_s, (\d+), (\d+)\)/
      .exec(file("api/worker/rtm_worker_api.pkb"))!
      .slice(1)
      .map(Number);

  it("the package waits as long as worker.queues[].wait may ask, as its specification says", () => {
    const [low, high] = range();
    expect(wait("119s")).toBeLessThanOrEqual(high! * 1000);
    expect(() => wait(`${high! + 1}s`)).toThrow("must be between");
    expect(file("api/worker/rtm_worker_api.pks")).toContain(`p_wait_s seconds (${low} to ${high})`);
  });

  it("the emulator refuses what the package refuses", async () => {
    const emulator = await startEmulator({ users: { RTM: "secret" } });
    try {
      new RtmSchema(emulator);
      const [, high] = range();
      const connection = await oracledb.getConnection({
        user: "RTM",
        password: "secret",
        connectString: `127.0.0.1:${emulator.port}/${emulator.serviceName}`,
      });
      const dequeue = (seconds: number) =>
        connection.execute(
          "begin rtm.rtm_worker_api.dequeue_text(:q, :k, :c, :w, :n, :i, :a, :e, :p, :t); end;",
          {
            q: "RTM.RTM_QUEUE",
            k: "RAW",
            c: null,
            w: seconds,
            n: 1,
            i: { dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize: 32 },
            a: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
            e: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
            p: { dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize: 32767, maxArraySize: 32 },
            t: { dir: oracledb.BIND_OUT, type: oracledb.NUMBER },
          },
        );
      await expect(dequeue(high! + 1)).rejects.toThrow(/ORA-20120.*p_wait_s/);
      await dequeue(0);
      await connection.close();
    } finally {
      await emulator.close();
    }
  });

  it("three heartbeats fit into the silence after which a worker counts as gone", () => {
    const silent = figure("api/admin/rtm_admin.pkb", /c_silent_s constant pls_integer := (\d+);/);
    const interval = (text: string) => parseConfig(workerConfig, { sideInterval: text });
    expect(interval(`${silent / 3}s`).sideInterval * 3).toBe(silent * 1000);
    expect(() => interval(`${silent / 3 + 1}s`)).toThrow(/sideInterval: must be between/);
    expect(figure("install/drop_objects.sql", /interval '(\d+)' second/)).toBe(silent);
    expect(parseConfig(workerConfig, {}).sideInterval * 3).toBeLessThanOrEqual(silent * 1000);
  });
});

/** The measured process: a bare dequeue loop, or worker and relay as `rtm serve` composes them. */
import oracledb from "oracledb";
import { Registry } from "prom-client";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { relayConfig } from "../../relay/config/config.ts";
import { startRelay } from "../../relay/relay.ts";
import { databaseConfig, workerConfig } from "../../worker/config.ts";
import { startWorker } from "../../worker/worker.ts";
import {
  PASSWORD,
  type SubjectCommand,
  type SubjectOptions,
  type SubjectReport,
} from "./protocol.ts";

const options = JSON.parse(process.argv[2]!) as SubjectOptions;
const { connectString, messages, warmUp } = options;
const report = (what: SubjectReport) => process.send!(what);
const commands = new Map<SubjectCommand["do"], () => void>();
const told = (what: SubjectCommand["do"]) =>
  new Promise<void>((resolve) => commands.set(what, resolve));
process.on("message", (command: SubjectCommand) => {
  if (command.do === "measure-heap") {
    gc!();
    report({ is: "heap", bytes: process.memoryUsage().heapUsed });
  } else commands.get(command.do)?.();
});

/** Counts messages; reports when the last has been taken. */
class Meter {
  #count = 0;
  #start: { at: number; cpu: NodeJS.CpuUsage; count: number } | undefined;

  took(count: number): void {
    this.#count += count;
    if (!this.#start && this.#count >= warmUp) {
      this.#start = { at: performance.now(), cpu: process.cpuUsage(), count: this.#count };
    } else if (this.#count >= messages) this.#report();
  }

  #report(): void {
    const start = this.#start!;
    const elapsedMs = performance.now() - start.at;
    const { user, system } = process.cpuUsage(start.cpu);
    report({
      is: "done",
      messages: this.#count - start.count,
      elapsedMs,
      cpuMs: (user + system) / 1000,
    });
  }
}

async function plain(): Promise<void> {
  const connection = await oracledb.getConnection({
    connectString,
    user: "RTM",
    password: PASSWORD,
  });
  const queue = await connection.getQueue("RTM_QUEUE");
  Object.assign(queue.deqOptions, { wait: 1, navigation: oracledb.AQ_DEQ_NAV_FIRST_MSG });
  report({ is: "ready", port: 0 });
  await told("go");
  const meter = new Meter();
  for (let left = messages; left > 0; left--) {
    await queue.deqOne();
    await connection.commit();
    meter.took(1);
  }
  await told("stop");
  await connection.close();
}

async function ours(): Promise<void> {
  const log = createLogger("error");
  const registry = new Registry();
  const relay = await startRelay(parseConfig(relayConfig, { port: 0, insecure: true }), {
    log: createLogger("silent"),
    registry,
  });
  report({ is: "ready", port: relay.port });
  await told("go");
  const meter = new Meter();
  const worker = startWorker({
    database: parseConfig(databaseConfig, { connectString, user: "RTM", password: PASSWORD }),
    worker: parseConfig(workerConfig, {
      queues: [{ name: "RTM_QUEUE", batch: options.batch }],
      receipts: options.receipts,
      sideInterval: "30s",
    }),
    publisher: {
      publish: async (batch, source) => {
        const results = await relay.publisher.publish(batch, source);
        meter.took(batch.length);
        return results;
      },
      control: (items, source) => relay.publisher.control(items, source),
    },
    log,
    registry,
    stateDirectory: undefined,
    version: "bench",
  });
  await told("stop");
  await worker.stop();
  await relay.close();
}

await (options.kind === "plain" ? plain() : ours());
process.disconnect();

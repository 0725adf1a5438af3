/** The measured process: a relay with its console, 10,000 messages a minute through it. */
import { randomUUID } from "node:crypto";
import { rtmConfig } from "../../cli/config.ts";
import { Sampler } from "../../cli/console/sampler.ts";
import { startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { channelName, payloadText } from "../relay/protocol.ts";
import type { Command, Report } from "./protocol.ts";

const [channels, perMinute] = process.argv.slice(2).map(Number) as [number, number];
const SOURCE = { name: "queue:BENCH" };

const service = await startService({
  config: parseConfig(rtmConfig, {
    service: { admin: { port: 0 } },
    relay: { port: 0, insecure: true, drain: { window: "0s" } },
  }),
  roles: { worker: false, relay: true },
  log: createLogger("silent"),
});

const payload = payloadText();
let published = 0;
const began = performance.now();
const timer = setInterval(() => {
  const due = Math.floor(((performance.now() - began) / 60_000) * perMinute);
  while (published < due) {
    const channel = channelName(published++ % channels);
    const message = { channel, eventName: "event", payload, id: randomUUID(), ts: Date.now() };
    void service.relay!.publisher.publish([message], SOURCE);
  }
}, 20);

function report(value: Report): void {
  process.send?.(value);
}

/** Alone, so that what a second holds beside it does not blur it; all channels are looked at each second time. */
async function takeSamples(times: number): Promise<Report> {
  const relay = service.relay!;
  const { registry, inspection } = relay;
  const sources = {
    registry,
    readiness: service.readiness,
    inspection: () => inspection,
    queues: () => undefined,
  };
  const sampler = new Sampler(sources);
  let bytes = 0;
  const run = async (samples: number) => {
    for (let n = 0; n < samples; n++) {
      if (n % 2 === 0) sampler.reset();
      bytes = Buffer.byteLength(JSON.stringify(await sampler.sample(1)));
    }
  };
  await run(times / 4);
  const before = process.cpuUsage();
  await run(times);
  const { user, system } = process.cpuUsage(before);
  return { is: "sampled", micros: (user + system) / times, bytes };
}

process.on("message", (command: Command) => {
  if (command.do === "cpu") {
    const { user, system } = process.cpuUsage();
    report({ is: "cpu", micros: user + system, at: performance.now(), published });
  } else if (command.do === "sample") void takeSamples(command.times).then(report);
  else {
    clearInterval(timer);
    void service.stop().then(() => process.exit(0));
  }
});
report({ is: "listening", port: service.relay!.port, adminPort: service.adminPort! });

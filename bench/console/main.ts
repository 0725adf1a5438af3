/**
 * `npm run bench:console`: what the console costs the process that it looks at. The same relay, with
 * messages flowing, in turn with nobody looking, with one who looks on, and with one who follows a
 * channel besides; CPU is that of the relay's process alone, the median of the rounds.
 */
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { Child } from "../child.ts";
import { channelName } from "../relay/protocol.ts";
import type { Command, Report } from "./protocol.ts";

const { values: args } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "10" },
    connections: { type: "string", default: "1000" },
    channels: { type: "string", default: "200" },
    rate: { type: "string", default: "10000" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (args.help) {
  process.stdout.write(`npm run bench:console -- [options]
  --rounds <n>       rounds, each with all three ways (7)
  --seconds <n>      of each way in a round (10)
  --connections <n>  pages, one channel each (1000)
  --channels <n>     channels (200)
  --rate <n>         messages a minute (10000)
`);
  process.exit(0);
}
const channels = Number(args.channels);
const seconds = Number(args.seconds);
const REPORT_DEADLINE_MS = 60_000;
const SETTLE_MS = 1_500;

const server = new Child<Command, Report>(
  new URL("./server.js", import.meta.url),
  [args.channels, args.rate],
  { deadlineMs: REPORT_DEADLINE_MS },
);
const { port, adminPort } = await server.expect("listening");
const sockets: WebSocket[] = [];
for (let n = 0; n < Number(args.connections); n++) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?channel=${channelName(n % channels)}`);
  await once(socket, "open");
  socket.on("message", () => {});
  sockets.push(socket);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function look(path: string): Promise<ClientRequest> {
  const looking = request({
    host: "127.0.0.1",
    port: adminPort,
    path: `/console/api/${path}`,
    agent: false,
  }).end();
  looking.on("error", () => {});
  const [response] = await once(looking, "response");
  response.resume().on("error", () => {});
  return looking;
}

const WAYS: Readonly<Record<string, readonly string[]>> = {
  closed: [],
  open: ["events"],
  "open, and a tail": ["events", `tail?channel=${channelName(0)}`],
};

async function measure(paths: readonly string[]): Promise<number> {
  const looking = await Promise.all(paths.map(look));
  await pause(SETTLE_MS);
  const read = async () => {
    server.tell({ do: "cpu" });
    return server.expect("cpu");
  };
  const before = await read();
  await pause(seconds * 1000);
  const after = await read();
  for (const each of looking) each.destroy();
  return (after.micros - before.micros) / 1000 / (after.at - before.at);
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

const shares: Record<string, number[]> = Object.fromEntries(
  Object.keys(WAYS).map((name) => [name, []]),
);
// The first seconds are those of the compiler.
await measure(["events"]);
for (let round = 0; round < Number(args.rounds); round++) {
  const ways = Object.entries(WAYS);
  // The order changes each round, so that whatever drifts hits all.
  for (const [name, paths] of round % 2 === 0 ? ways : ways.reverse()) {
    shares[name]!.push(await measure(paths));
  }
}
console.log(
  `${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.version}; ${args.connections} pages, ` +
    `${args.channels} channels, ${args.rate} messages a minute; ${args.rounds} rounds of ${args.seconds} s\n`,
);
console.log(
  "| console | CPU of the process, % of a core | more than closed, % of a core | of the process's own CPU |",
);
console.log("| --- | ---: | ---: | ---: |");
const closed = median(shares.closed!);
for (const [name, values] of Object.entries(shares)) {
  const share = median(values);
  // Round by round, so that what drifts is in both.
  const more = median(values.map((value, round) => value - shares.closed![round]!));
  const cells = [
    name,
    (share * 100).toFixed(2),
    (more * 100).toFixed(2),
    `${((more / closed) * 100).toFixed(1)} %`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
server.tell({ do: "sample", times: 2_000 });
const { micros, bytes } = await server.expect("sampled");
console.log(
  `\nOne sample, which is taken once a second: ${(micros / 1000).toFixed(2)} ms of CPU time ` +
    `(${(micros / 10_000).toFixed(3)} % of a core, ${((micros / 1e6 / closed) * 100).toFixed(1)} % of the process's own), ${bytes} bytes`,
);
for (const socket of sockets) socket.terminate();
await server.stop({ do: "stop" });

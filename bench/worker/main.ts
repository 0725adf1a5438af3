/**
 * `npm run bench:worker`: the worker with the relay fanning out to 10 WebSocket clients, against a
 * bare loop of deqOne and commit that hands its messages to nobody. The emulator, the subject and
 * the clients are a process each; CPU is that of the subject. Options: --rounds 3,
 * --messages 20000, --heap (only the heap, over 200,000 messages), --framing 19c|23ai.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { Child } from "../child.ts";
import {
  CHANNEL,
  type DatabaseCommand,
  type DatabaseReport,
  type Framing,
  type SubjectCommand,
  type SubjectOptions,
  type SubjectReport,
  sharedClock,
} from "./protocol.ts";

const { values: args } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    messages: { type: "string", default: "20000" },
    heap: { type: "boolean", default: false },
    framing: { type: "string", multiple: true, default: ["19c", "23ai"] },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (args.help) {
  process.stdout.write(`npm run bench:worker -- [options]
  --rounds <n>          rounds per row (3)
  --messages <n>        messages per round, at least 4000 (20000)
  --framing 19c|23ai    only this framing; may be repeated (both)
  --heap                only the heap, over 200,000 messages
`);
  process.exit(0);
}
const ROUNDS = Number(args.rounds);
const MESSAGES = Number(args.messages);
/** A round is measured after a quarter of it, from one batch to the last: it has to hold several batches of 1000. */
const LEAST_MESSAGES = 4000;
if (!Number.isInteger(MESSAGES) || MESSAGES < LEAST_MESSAGES) {
  process.stderr.write(`--messages must be a whole number of at least ${LEAST_MESSAGES}\n`);
  process.exit(2);
}
const CLIENTS = 10;
const PAYLOAD_BYTES = 200;
const REPORT_DEADLINE_MS = 600_000;

/** The pages: they count frames and, when asked, note how old each is. */
class Clients {
  readonly #sockets: WebSocket[] = [];
  readonly latencies: number[] = [];
  frames = 0;

  static async connect(port: number, count: number): Promise<Clients> {
    const clients = new Clients();
    for (let n = 0; n < count; n++) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?channel=${CHANNEL}`);
      socket.on("message", (data: Buffer) => {
        clients.frames++;
        // Reading the moment of one frame in all is enough: parsing each would slow the machine.
        if (n === 0) {
          const sentAt = /"sentAt":([\d.]+)/.exec(data.toString())?.[1];
          clients.latencies.push(sharedClock() - Number(sentAt));
        }
      });
      await once(socket, "open");
      clients.#sockets.push(socket);
    }
    return clients;
  }

  async received(frames: number): Promise<void> {
    const deadline = performance.now() + REPORT_DEADLINE_MS;
    while (this.frames < frames) {
      if (performance.now() > deadline) throw new Error(`only ${this.frames} of ${frames} frames`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}

interface Figures {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly tripsPerMessage: number;
}

type Case = Pick<SubjectOptions, "kind" | "batch" | "receipts">;

const startDatabase = async (framing: Framing) => {
  const database = new Child<DatabaseCommand, DatabaseReport>(
    new URL("./database.js", import.meta.url),
    [framing],
    { deadlineMs: REPORT_DEADLINE_MS },
  );
  const { connectString } = await database.expect("listening");
  return { database, connectString };
};

async function startSubject(options: SubjectOptions) {
  const script = new URL("./subject.js", import.meta.url);
  const subject = new Child<SubjectCommand, SubjectReport>(script, [JSON.stringify(options)], {
    deadlineMs: REPORT_DEADLINE_MS,
  });
  const { port } = await subject.expect("ready");
  const clients = await Clients.connect(port, options.kind === "ours" ? CLIENTS : 0);
  return { subject, clients };
}

/** Drains a full queue. */
async function measure(framing: Framing, which: Case): Promise<Figures> {
  const { database, connectString } = await startDatabase(framing);
  // One by one takes long; its figures need fewer messages to be steady.
  const total = which.batch === 1 ? MESSAGES / 4 : MESSAGES;
  const { subject, clients } = await startSubject({
    ...which,
    connectString,
    messages: total,
    warmUp: Math.floor(total / 4),
  });
  try {
    database.tell({ do: "fill", messages: total, bytes: PAYLOAD_BYTES });
    await database.expect("filled");
    subject.tell({ do: "go" });
    const { messages, elapsedMs, cpuMs } = await subject.expect("done");
    if (which.kind === "ours") await clients.received(total * CLIENTS);
    database.tell({ do: "count-trips" });
    const { count } = await database.expect("trips");
    return {
      perSecond: (messages / elapsedMs) * 1000,
      perCpuSecond: (messages / cpuMs) * 1000,
      tripsPerMessage: count / total,
    };
  } finally {
    clients.close();
    await subject.stop({ do: "stop" });
    await database.stop({ do: "stop" });
  }
}

/** From the call of a burst's enqueue to the first client's socket. */
async function measureLatency(framing: Framing, burst: number): Promise<number[]> {
  const { database, connectString } = await startDatabase(framing);
  // A short run is a trial: it needs no steady figures.
  const count = Math.min(200, Math.ceil(MESSAGES / 100));
  // At most 1,000 messages per second: this is about latency, not about queueing.
  const gapMs = Math.max(10, burst);
  const { subject, clients } = await startSubject({
    kind: "ours",
    batch: 100,
    receipts: false,
    connectString,
    messages: Number.MAX_SAFE_INTEGER,
    warmUp: 1,
  });
  try {
    subject.tell({ do: "go" });
    database.tell({ do: "bursts", size: burst, count, gapMs });
    await database.expect("burst-end");
    await clients.received(burst * count * CLIENTS);
    // The first quarter is for the compiler.
    return clients.latencies.slice(Math.floor((burst * count) / 4));
  } finally {
    clients.close();
    await subject.stop({ do: "stop" });
    await database.stop({ do: "stop" });
  }
}

async function measureHeap(framing: Framing): Promise<void> {
  // Until then the relay's duplicate window fills.
  const before = 100_000;
  const messages = before + 200_000;
  const { database, connectString } = await startDatabase(framing);
  const { subject, clients } = await startSubject({
    kind: "ours",
    batch: 100,
    receipts: false,
    connectString,
    messages: messages + 1,
    warmUp: 1,
  });
  const heaps: string[] = [];
  try {
    subject.tell({ do: "go" });
    for (let sent = 50_000; sent <= messages; sent += 50_000) {
      database.tell({ do: "fill", messages: 50_000, bytes: PAYLOAD_BYTES });
      await database.expect("filled");
      await clients.received(sent * CLIENTS);
      if (sent < before) continue;
      subject.tell({ do: "measure-heap" });
      const { bytes } = await subject.expect("heap");
      heaps.push((bytes / 1024 ** 2).toFixed(1));
    }
    console.log(
      `${framing}: heap in MiB after ${before} messages and each 50,000 of ${messages - before} more: ${heaps.join(", ")}`,
    );
  } finally {
    clients.close();
    await subject.stop({ do: "stop" });
    await database.stop({ do: "stop" });
  }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

const median = (values: readonly number[]) => quantile(values, 0.5);

const CASES: readonly (Case & { readonly name: string })[] = [
  { name: "bare deqOne + commit", kind: "plain", batch: 1, receipts: false },
  { name: "ours, batch 1", kind: "ours", batch: 1, receipts: false },
  { name: "ours, batch 10", kind: "ours", batch: 10, receipts: false },
  { name: "ours, batch 100", kind: "ours", batch: 100, receipts: false },
  { name: "ours, batch 100, receipts", kind: "ours", batch: 100, receipts: true },
  { name: "ours, batch 1000", kind: "ours", batch: 1000, receipts: false },
];

async function throughput(framing: Framing): Promise<void> {
  const figures = new Map<string, Figures[]>(CASES.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const which of CASES) figures.get(which.name)!.push(await measure(framing, which));
  }
  const of = (name: string, figure: keyof Figures) =>
    median(figures.get(name)!.map((each) => each[figure]));
  const base = of(CASES[0]!.name, "perSecond");
  console.log(`\n${framing} framing, ${PAYLOAD_BYTES}-byte messages, ${CLIENTS} clients`);
  console.log("| | messages/s | of bare | messages per CPU s | round trips per message |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const { name } of CASES) {
    const perSecond = of(name, "perSecond");
    const cells = [
      Math.round(perSecond).toLocaleString("en"),
      `${(perSecond / base).toFixed(1)}x`,
      Math.round(of(name, "perCpuSecond")).toLocaleString("en"),
      of(name, "tripsPerMessage").toFixed(3),
    ];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
}

async function latency(framing: Framing): Promise<void> {
  console.log(`\n${framing} framing, ms from enqueue to socket (bursts of one commit each)`);
  console.log("| messages per commit | p50 | p99 |");
  console.log("| --- | --- | --- |");
  for (const burst of [1, 10, 100]) {
    const values = await measureLatency(framing, burst);
    console.log(
      `| ${burst} | ${median(values).toFixed(2)} | ${quantile(values, 0.99).toFixed(2)} |`,
    );
  }
}

const { version } = JSON.parse(
  readFileSync(new URL("../../../node_modules/oracledb/package.json", import.meta.url), "utf8"),
) as { version: string };
const [cpu] = cpus();
console.log(
  `${cpus().length} x ${cpu?.model ?? "?"}, ${Math.round(totalmem() / 1024 ** 3)} GiB, ` +
    `Node ${process.version}, oracledb ${version}; medians of ${ROUNDS} rounds of ${MESSAGES} messages`,
);
for (const framing of args.framing as Framing[]) {
  if (args.heap) await measureHeap(framing);
  else {
    await throughput(framing);
    await latency(framing);
  }
}

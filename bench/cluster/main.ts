/**
 * `npm run bench:cluster`: our relays on one log against (a) one relay without an engine, (b) the same
 * fan-out through socket.io with its redis-streams adapter, (c) plain nodes with PUB/SUB, all on this
 * machine in one run. A page per channel (50) and node; messages of 200 bytes in batches of 100, one
 * batch at a time, and then lone messages every 5 ms. CPU is of each process alone. Needs
 * redis-server or valkey-server; --help lists the options.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { Child } from "../child.ts";
import type { Command, Kind, Report } from "./protocol.ts";

const { values: args } = parseArgs({
  options: {
    messages: { type: "string", default: "30000" },
    nodes: { type: "string", default: "1,3,6" },
    move: { type: "string", default: "1000" },
    only: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (args.help) {
  process.stdout.write(`npm run bench:cluster -- [options]
  --messages <n>    messages per row (30000)
  --nodes <list>    numbers of nodes (1,3,6)
  --move <n>        pages that move to other nodes (1000)
  --only <kind>     only rows of this kind (all)
`);
  process.exit(0);
}
const messages = Number(args.messages);
const BATCH = 100;
const LONE = 600;
const DEADLINE_MS = 120_000;

const program = ["valkey-server", "redis-server"].find(
  (name) => spawnSync(name, ["--version"]).status === 0,
);

const print = (text: string) => process.stdout.write(`${text}\n`);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** CPU seconds of a process, from the kernel (its clock has 100 ticks per second). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

class Engine {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly port: number;

  private constructor(port: number) {
    this.port = port;
    this.#directory = mkdtempSync(join(tmpdir(), "rtm-bench-"));
    const settings = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];
    this.#process = spawn(
      program as string,
      ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", this.#directory, ...settings],
      { stdio: "ignore" },
    );
  }

  static async start(): Promise<Engine> {
    const engine = new Engine(await freePort());
    const client = new Redis(engine.port, "127.0.0.1", { retryStrategy: () => 50 });
    client.on("error", () => {});
    await client.ping();
    client.disconnect();
    return engine;
  }

  get cpu(): number {
    return cpuOf(this.#process.pid as number);
  }

  /** Calls of every command that reads the log, but the followers' own. */
  async reads(): Promise<number> {
    const client = new Redis(this.port, "127.0.0.1");
    const text = await client.info("commandstats");
    client.disconnect();
    const calls = (name: string) =>
      Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0);
    return calls("xrange") + calls("hscan") + calls("hgetall");
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

type Process = Child<Command, Report>;
const script = (name: string) => new URL(`./${name}.js`, import.meta.url);

async function run(kind: Kind, count: number): Promise<void> {
  const engine = await Engine.start();
  const nodes: Process[] = Array.from(
    { length: count },
    () => new Child(script("node"), [kind, `${engine.port}`], { deadlineMs: DEADLINE_MS }),
  );
  const load: Process = new Child(script("load"), [], { deadlineMs: DEADLINE_MS });
  try {
    const ports = [];
    for (const node of nodes) ports.push((await node.expect("listening")).port);
    load.tell({ do: "connect", kind, ports });
    await load.expect("connected");
    const [publisher] = nodes as [Process];
    const publish = async (total: number, batch: number, everyMs: number) => {
      publisher.tell({ do: "publish", messages: total, batch, everyMs });
      const { seconds } = await publisher.expect("published");
      load.tell({ do: "await", messages: total, latencies: everyMs > 0 });
      return { seconds, ...(await load.expect("received")) };
    };
    await publish(2000, BATCH, 0);
    const nodesCpu = async () => {
      const all = [];
      for (const node of nodes) {
        node.tell({ do: "cpu" });
        all.push((await node.expect("cpu")).seconds);
      }
      return all;
    };
    const [engineBefore, nodesBefore] = [engine.cpu, await nodesCpu()];
    const bulk = await publish(messages, BATCH, 0);
    const engineCpu = engine.cpu - engineBefore;
    const nodeCpu = (await nodesCpu()).map((seconds, index) => seconds - (nodesBefore[index] ?? 0));
    const lone = await publish(LONE, 1, 5);
    const followers = nodeCpu.slice(1);
    const mean = followers.reduce((sum, each) => sum + each, 0) / Math.max(1, followers.length);
    const per = (seconds: number) => (seconds > 0.02 ? Math.round(messages / seconds) : "-");
    const total = engineCpu + nodeCpu.reduce((sum, each) => sum + each, 0);
    print(
      `| ${kind} | ${count} | ${Math.round(messages / bulk.seconds)} | ${per(engineCpu)} | ` +
        `${per(nodeCpu[0] ?? 0)} | ${per(mean)} | ${Math.round((messages * count) / total)} | ` +
        `${lone.p50.toFixed(2)} / ${lone.p99.toFixed(1)} | ` +
        `${bulk.messages}/${messages * count} |`,
    );
    if (kind === "ours" && count === 3) await moving(engine, publisher, load, ports);
  } finally {
    await Promise.all([...nodes, load].map((each) => each.stop({ do: "stop" })));
    await engine.stop();
  }
}

/** Pages that come to other nodes with 1,000 messages missed: recovery must not ask the engine. */
async function moving(
  engine: Engine,
  publisher: Process,
  load: Process,
  ports: readonly number[],
): Promise<void> {
  publisher.tell({ do: "publish", messages: 1000 * 50, batch: BATCH, everyMs: 0 });
  await publisher.expect("published");
  const before = await engine.reads();
  load.tell({ do: "move", ports, pages: Number(args.move) });
  const { seconds, messages: replayed } = await load.expect("moved");
  notes.push(
    `${args.move} pages moved over ${ports.length} nodes, 1,000 missed messages each: ` +
      `${seconds.toFixed(1)} s, ${replayed} messages replayed, ` +
      `${(await engine.reads()) - before} reads of the engine.`,
  );
}

const notes: string[] = [];
if (program === undefined) {
  print("neither valkey-server nor redis-server is installed: nothing was measured");
} else {
  const version = spawnSync(program, ["--version"], { encoding: "utf8" }).stdout.trim();
  print(`${version}; Node ${process.version}; ${cpus().length} x ${cpus()[0]?.model}\n`);
  print(
    "| | nodes | published/s | messages per CPU s of the engine | of the publishing node | " +
      "of a following node | deliveries to nodes per CPU s in all | publish to page, ms p50 / p99 | " +
      "arrived |",
  );
  print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
  const kinds: Kind[] = ["one", "ours", "socket.io", "pubsub"];
  for (const kind of kinds.filter((each) => args.only === "" || each === args.only)) {
    for (const count of kind === "one" ? [1] : args.nodes.split(",").map(Number)) {
      await run(kind, count);
    }
  }
  for (const note of notes) print(`\n${note}`);
}

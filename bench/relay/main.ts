/**
 * `npm run bench:relay`: the relay with all features on against a plain `ws` + express server that
 * loops `client.send` (e: that only shakes hands), or against what a row says: itself with another wire or
 * another way to publish, or a NATS server (RTM_BENCH_NATS, or `nats-server` on the PATH). Each round runs the baseline and ours one after the other; CPU is that of the server process
 * alone. Options: --rounds 5, --only <part of a scenario's name>, --seconds 2 (of
 * the server's CPU time; of wall-clock time where messages have a rate).
 */
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child } from "../child.ts";
import { DEFLATE, measureDeflate } from "./deflate.ts";
import { median } from "./figures.ts";
import { natsVersion } from "./nats.ts";
import {
  type Command,
  type Report,
  type Scenario,
  type ServerKind,
  sharedClock,
} from "./protocol.ts";

const base = { feed: "in-process", postSize: 1, ratePerSecond: 0 } as const;
const one = { ...base, connections: 1000, channels: 1 } as const;
const many = { ...base, connections: 1000, channels: 200 } as const;

interface Entry extends Scenario {
  readonly measures: "cpu" | "latency" | "memory" | "storm";
  /** Where the plain server gets something else. */
  readonly plain?: Partial<Scenario>;
  /** What ours is compared with; the plain server by default. */
  readonly baseline?: "joined" | "posts" | "nats";
}

const SCENARIOS: readonly Entry[] = [
  { name: "a 1x1000 in-process, 32 in flight", ...one, inFlight: 32, measures: "cpu" },
  { name: "a 1x1000 in-process, 1 in flight", ...one, inFlight: 1, measures: "cpu" },
  { name: "a 1x1000 POST, 32 in flight", ...one, feed: "post", inFlight: 32, measures: "cpu" },
  { name: "a 1x1000 POST, 1 in flight", ...one, feed: "post", inFlight: 1, measures: "cpu" },
  { name: "b 200x5 in-process, 32 in flight", ...many, inFlight: 32, measures: "cpu" },
  {
    name: "b 200x5 single POST, 32 in flight",
    ...many,
    feed: "post",
    inFlight: 32,
    measures: "cpu",
  },
  {
    name: "b 200x5 POST of 50, 100 in flight",
    ...many,
    feed: "post",
    postSize: 50,
    inFlight: 100,
    measures: "cpu",
  },
  {
    name: "b 200x5 POST of 50, plain: single POSTs",
    ...many,
    feed: "post",
    postSize: 50,
    inFlight: 100,
    measures: "cpu",
    plain: { postSize: 1 },
  },
  {
    name: "a 1x1000 in-process, 1 in flight: direct against joined",
    ...one,
    inFlight: 1,
    measures: "cpu",
    baseline: "joined",
  },
  {
    name: "b 200x5 in-process, 32 in flight: direct against joined",
    ...many,
    inFlight: 32,
    measures: "cpu",
    baseline: "joined",
  },
  {
    name: "b 200x5 socket, 32 in flight: against single POSTs",
    ...many,
    feed: "socket",
    inFlight: 32,
    measures: "cpu",
    baseline: "posts",
  },
  {
    name: "b 200x5 socket, 32 in flight: against NATS",
    ...many,
    feed: "socket",
    inFlight: 32,
    measures: "cpu",
    baseline: "nats",
  },
  {
    name: "b 200x5 socket, frames of 50, 200 in flight: against NATS",
    ...many,
    feed: "socket",
    postSize: 50,
    inFlight: 200,
    measures: "cpu",
    baseline: "nats",
  },
  { name: "c 5000 idle", ...one, connections: 5000, inFlight: 1, measures: "memory" },
  {
    name: "d 1x500 at 200/s",
    ...one,
    connections: 500,
    inFlight: 0,
    ratePerSecond: 200,
    measures: "latency",
  },
  {
    name: "e reconnect storm, 2000 pages",
    ...one,
    connections: 2000,
    inFlight: 1,
    measures: "storm",
  },
];

const { values: args } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    only: { type: "string", default: "" },
    profile: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (args.help) {
  process.stdout.write(`npm run bench:relay -- [options]
  --rounds <n>      rounds per scenario (5)
  --only <text>     scenarios whose name contains it (all)
  --seconds <n>     of the server's CPU time, or of wall-clock time where messages have a rate (2)
  --profile <kind>  writes a CPU profile of this server, plain or ours, to build/bench/relay/profiles;
                    may be repeated
`);
  process.exit(0);
}
const rounds = Number(args.rounds);
const measureMs = Number(args.seconds) * 1000;
const WARM_UP_MS = 1000;
/** Where profiles go: beside this program. */
const PROFILED = [
  "--cpu-prof",
  `--cpu-prof-dir=${fileURLToPath(new URL("./profiles", import.meta.url))}`,
];
const REPORT_DEADLINE_MS = 120_000;

/** What a kind of server gets instead of what the row says. */
const OTHERWISE: Partial<Record<ServerKind, Partial<Scenario>>> = {
  posts: { feed: "post", postSize: 1 },
};

/** The figures of one run, by name. */
type Figures = Record<string, number>;
type Process = Child<Command, Report>;

/** All pages come back four times: thrice to warm up, once to be measured. */
async function measureStorm(
  { connections }: Scenario,
  server: Process,
  load: Process,
  port: number,
): Promise<Figures> {
  server.tell({ do: "mint", count: connections });
  const { tokens } = await server.expect("minted");
  const cpu = async () => {
    server.tell({ do: "measure-cpu" });
    return (await server.expect("cpu")).micros;
  };
  let micros = 0;
  for (let wave = 0; wave < 4; wave++) {
    const before = await cpu();
    load.tell({ do: "storm", port, tokens });
    await load.expect("back");
    micros = (await cpu()) - before;
    load.tell({ do: "leave" });
    await load.expect("left");
  }
  return { "CPU µs/page": micros / connections };
}

async function measure(kind: ServerKind, entry: Entry): Promise<Figures> {
  const scenario: Entry = { ...entry, ...(kind === "plain" ? entry.plain : OTHERWISE[kind]) };
  const child = (script: string, node: readonly string[] = []) =>
    new Child<Command, Report>(new URL(script, import.meta.url), [kind, JSON.stringify(scenario)], {
      node,
      deadlineMs: REPORT_DEADLINE_MS,
    });
  const isProfiled = args.profile.includes(kind === "plain" ? "plain" : "ours");
  const server = child("./server.js", isProfiled ? PROFILED : []);
  const load = child("./load.js");
  try {
    const { port, ackPort, token } = await server.expect("listening");
    if (scenario.measures === "storm") return await measureStorm(scenario, server, load, port);
    load.tell({ do: "connect", port, ackPort, token });
    await load.expect("connected");
    if (scenario.measures === "memory") {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      server.tell({ do: "measure-memory" });
      const { rss } = await server.expect("memory");
      return { "RSS MiB": rss / 1024 ** 2 };
    }
    const run: Command = {
      do: "run",
      warmUpMs: WARM_UP_MS,
      measureMs,
      startsAt: sharedClock() + 20,
    };
    load.tell(run);
    server.tell(run);
    const { deliveries, cpuSeconds, seconds } = await server.expect("measured");
    if (scenario.measures === "cpu") {
      return {
        "deliveries/CPU s": deliveries / cpuSeconds,
        "deliveries/s": deliveries / seconds,
      };
    }
    const { p50, p99 } = await load.expect("latency");
    return { "p50 ms": p50, "p99 ms": p99, "CPU %": (cpuSeconds / seconds) * 100 };
  } finally {
    await Promise.all([server.stop({ do: "stop" }), load.stop({ do: "stop" })]);
  }
}

function show(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

function row(scenario: string, figure: string, plain: number[], ours: number[]): string {
  const ratios = ours.map((value, round) => value / (plain[round] as number));
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`;
  const cells = [
    scenario,
    figure,
    show(median(plain)),
    show(median(ours)),
    median(ratios).toFixed(2),
    spread,
  ];
  return `| ${cells.join(" | ")} |`;
}

const version = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../../../node_modules/${name}/package.json`, import.meta.url), "utf8"),
  ).version;
console.log(
  `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 1024 ** 3)} GiB, ` +
    `Linux; Node ${process.version}, ws ${version("ws")}, express ${version("express")}; ` +
    `${rounds} rounds of ${args.seconds} s (CPU time of the server; wall clock for d), baseline and ours in turn; ` +
    "medians, ratio = ours / plain of the same round, spread = its smallest and largest\n",
);
const nats = natsVersion();
if (nats !== undefined) console.log(`Baseline of rows that say so: ${nats}\n`);
console.log("| scenario | figure | plain | ours | ratio | spread |");
console.log("| --- | --- | ---: | ---: | ---: | --- |");
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(args.only))) {
  const baseline = scenario.baseline ?? "plain";
  if (baseline === "nats" && nats === undefined) {
    console.log(`| ${scenario.name} | no nats-server was found: not measured | | | | |`);
    continue;
  }
  const results: Record<ServerKind, Figures[]> = {
    plain: [],
    joined: [],
    posts: [],
    nats: [],
    relay: [],
  };
  for (let round = 0; round < rounds; round++) {
    // The order changes each round, so that whatever drifts hits both.
    const kinds: ServerKind[] = round % 2 === 0 ? [baseline, "relay"] : ["relay", baseline];
    for (const kind of kinds) results[kind].push(await measure(kind, scenario));
  }
  for (const figure of Object.keys(results[baseline][0] as Figures)) {
    const of = (kind: ServerKind) => results[kind].map((figures) => figures[figure] as number);
    console.log(row(scenario.name, figure, of(baseline), of("relay")));
  }
}
if (DEFLATE.includes(args.only)) await measureDeflate(rounds, measureMs);

/**
 * `npm run bench:cluster`: our relays on one log against (a) one relay without an engine, (b) the same
 * fan-out through socket.io with its redis-streams adapter, (c) plain nodes with PUB/SUB, all on this
 * machine in one run. Messages of 200 bytes, one batch at a time. CPU is of each process alone, the
 * pages' is left out. Needs redis-server or valkey-server; --help lists the options.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Cluster, type Cost, sum } from "./cluster.ts";
import { ENGINE, engineVersion } from "./engine.ts";
import { channelName, type Kind, LAST, type Shape } from "./protocol.ts";

const PARTS = ["nodes", "intake", "fanout", "fleet"] as const;

const { values: args } = parseArgs({
  options: {
    messages: { type: "string", default: "30000" },
    nodes: { type: "string", default: "1,3,6" },
    move: { type: "string", default: "1000" },
    fleet: { type: "string", default: "1,10,33,99" },
    part: { type: "string", default: PARTS.join(",") },
    only: { type: "string", default: "" },
    profile: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (args.help) {
  process.stdout.write(`npm run bench:cluster -- [options]
  --messages <n>    messages per row (30000)
  --nodes <list>    numbers of nodes of the first part (1,3,6)
  --move <n>        pages that move to other nodes (1000)
  --fleet <list>    numbers of followers that only read (1,10,33,99)
  --part <list>     nodes, intake, fanout, fleet (all)
  --only <kind>     only rows of this kind: one, ours, socket.io, pubsub (all)
  --profile <dir>   nodes leave a profile of their CPU time there
`);
  process.exit(0);
}
const messages = Number(args.messages);
const BATCH = 100;
const LONE = 600;
/** Messages that are published before all of them must have arrived. */
const WINDOW = 1000;
const WARM_UP = 2000;
const CHANNELS = 50;

const print = (text: string) => process.stdout.write(`${text}\n`);
const table = (...columns: readonly string[]) => {
  print(`\n| ${columns.join(" | ")} |\n| --- |${" ---: |".repeat(columns.length - 1)}`);
};
const row = (...cells: readonly (string | number)[]) => print(`| ${cells.join(" | ")} |`);

const channelsOf = ({ channels }: Shape) =>
  Array.from({ length: channels }, (_, n) => channelName(n));
/** The kernel counts an engine's time in hundredths. */
const per = (count: number, seconds: number) =>
  seconds > 0.02 ? Math.round(count / seconds) : "-";
const totalOf = ({ engine, nodes }: Cost) => engine + sum(nodes);
const kindsOf = (all: readonly Kind[]) =>
  all.filter((each) => args.only === "" || each === args.only);

async function withCluster(
  options: Omit<Parameters<typeof Cluster.start>[0], "profile">,
  run: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const profile = args.profile === "" ? {} : { profile: args.profile };
  const cluster = await Cluster.start({ ...options, ...profile });
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

/** A page for each of 50 channels on each node. */
async function nodes(): Promise<void> {
  table(
    "50 channels, a page each per node",
    "nodes",
    "published/s",
    "messages per CPU s of the engine",
    "of the publishing node",
    "of a following node",
    "deliveries to nodes per CPU s in all",
    "lone message to page, ms p50 / p99",
    "arrived",
  );
  const shape = { channels: CHANNELS, pages: 1 };
  for (const kind of kindsOf(["one", "ours", "socket.io", "pubsub"])) {
    for (const count of kind === "one" ? [1] : args.nodes.split(",").map(Number)) {
      await withCluster({ kind, nodes: count }, async (cluster) => {
        await cluster.connect(channelsOf(shape), shape.pages);
        await cluster.publish(WARM_UP, CHANNELS, BATCH);
        await cluster.arrived(WARM_UP * count);
        let seconds = 0;
        let arrived = 0;
        const cost = await cluster.cost(async () => {
          seconds = await cluster.publish(messages, CHANNELS, BATCH);
          arrived = (await cluster.arrived(messages * count)).messages;
        });
        await cluster.publish(LONE, CHANNELS, 1, 5);
        const lone = await cluster.arrived(LONE * count);
        const [publisher = 0, ...followers] = cost.nodes;
        row(
          kind,
          count,
          Math.round(messages / seconds),
          per(messages, cost.engine),
          per(messages, publisher),
          per(messages * followers.length, sum(followers)),
          per(messages * count, totalOf(cost)),
          `${lone.p50.toFixed(2)} / ${lone.p99.toFixed(1)}`,
          `${arrived}/${messages * count}`,
        );
        if (kind === "ours" && count === 3) await moving(cluster);
      });
    }
  }
}

/** Pages that come to other nodes with 1,000 messages missed: recovery must not ask the engine. */
async function moving(cluster: Cluster): Promise<void> {
  await cluster.publish(1000 * CHANNELS, CHANNELS, BATCH);
  const before = await cluster.engine.reads();
  const { seconds, messages: replayed } = await cluster.move(Number(args.move));
  notes.push(
    `${args.move} pages moved over ${cluster.ports.length} nodes, 1,000 missed messages each: ` +
      `${seconds.toFixed(1)} s, ${replayed} messages replayed, ` +
      `${(await cluster.engine.reads()) - before} reads of the engine.`,
  );
}

/** So far a node falls behind before it may go on: below the grace in which it hears nothing. */
const BEHIND = 10_000;

/**
 * What a node does for messages that none of its pages reads: all but the sockets. A node that keeps
 * up makes a read for nearly every batch; what it can take in at most shows when it has fallen behind,
 * as a node does that is offered more than it can take.
 */
async function intake(): Promise<void> {
  table(
    "intake: 50 channels, no page reads them",
    "batch",
    "messages per CPU s of a following node",
    "of the publishing node",
    "of the engine",
  );
  for (const kind of kindsOf(["ours", "socket.io", "pubsub"])) {
    for (const batch of [BATCH, 1]) {
      await withCluster({ kind, nodes: 2 }, async (cluster) => {
        // Behind the last message a node has taken in all others.
        await cluster.connect([LAST], 1);
        const step = async (count: number, size = batch) => {
          await cluster.publish(count, CHANNELS, size);
          cluster.last();
          await cluster.arrived(2);
        };
        const count = batch === 1 ? Math.ceil(messages / 3) : messages * 5;
        // What is measured is code that V8 has compiled: the first 50,000 messages are slower.
        await step(messages * 2, BATCH);
        const cost = await cluster.cost(() => step(count));
        const [publisher = 0, follower = 0] = cost.nodes;
        row(kind, batch, per(count, follower), per(count, publisher), per(count, cost.engine));
        if (batch === 1) return;
        const behind = await cluster.cost(async () => {
          for (let done = 0; done < count; done += BEHIND) {
            cluster.halt(true);
            await cluster.publish(BEHIND, CHANNELS, batch);
            cluster.halt(false);
            cluster.last();
            await cluster.arrived(2);
          }
        });
        row(kind, `${batch}, fallen behind`, per(count, behind.nodes[1] ?? 0), "", "");
      });
    }
  }
}

const FAN_OUTS: readonly (Shape & { readonly batch: number })[] = [
  { channels: CHANNELS, pages: 1, batch: BATCH },
  { channels: CHANNELS, pages: 20, batch: BATCH },
  { channels: 5, pages: 100, batch: BATCH },
  { channels: 1, pages: 100, batch: BATCH },
  { channels: 1, pages: 100, batch: 10 },
  { channels: 1, pages: 100, batch: 1 },
];

/** The whole cluster, at the fan-outs that it may meet: deliveries to pages per CPU second of all. */
async function fanout(): Promise<void> {
  const kinds = kindsOf(["ours", "socket.io", "pubsub"]);
  const nodes = 3;
  table(
    "fan-out, 3 nodes: channels x pages per node, batch",
    ...kinds.map((kind) => `${kind}: deliveries per CPU s in all`),
    "ours to socket.io",
    "ours to pubsub",
  );
  for (const { channels, pages, batch } of FAN_OUTS) {
    const readers = pages * nodes;
    const windows = Math.max(1, Math.round((messages * 10) / readers / WINDOW));
    const rates = new Map<Kind, number>();
    for (const kind of kinds) {
      await withCluster({ kind, nodes }, async (cluster) => {
        await cluster.connect(channelsOf({ channels, pages }), pages);
        const step = async () => {
          await cluster.publish(WINDOW, channels, batch);
          const { messages: arrived } = await cluster.arrived(WINDOW * readers);
          if (arrived !== WINDOW * readers) {
            notes.push(`${kind} ${channels}x${pages}: ${arrived} of ${WINDOW * readers} arrived`);
          }
        };
        await step();
        const cost = await cluster.cost(async () => {
          for (let window = 0; window < windows; window++) await step();
        });
        rates.set(kind, (windows * WINDOW * readers) / totalOf(cost));
      });
    }
    const ratio = (kind: Kind) => {
      const [ours, theirs] = [rates.get("ours"), rates.get(kind)];
      return ours && theirs ? (ours / theirs).toFixed(1) : "-";
    };
    row(
      `${channels} x ${pages}, ${batch}`,
      ...kinds.map((kind) => Math.round(rates.get(kind) ?? Number.NaN)),
      ratio("socket.io"),
      ratio("pubsub"),
    );
  }
}

/** Followers that only read, in few processes: what many nodes would cost the engine. */
async function fleet(): Promise<void> {
  table(
    "fleet: followers beside one node",
    "batches of 100: engine µs per message",
    "follower µs per message",
    "lone messages, at most 100/s: engine's share of a core",
    "publish to follower, ms p50 / p99",
    "engine bytes out per message and follower",
  );
  for (const count of args.fleet.split(",").map(Number)) {
    const processes = Math.min(3, count);
    const followers = Array.from({ length: processes }, (_, n) =>
      Math.floor((count + n) / processes),
    );
    await withCluster({ kind: "ours", nodes: 1, followers }, async (cluster) => {
      const step = async (total: number, batch: number, everyMs: number) => {
        await cluster.publish(total, CHANNELS, batch, everyMs);
        return cluster.followed(followers, total);
      };
      await step(WARM_UP, BATCH, 0);
      const bulk = Math.ceil(messages / 3 / BATCH) * BATCH;
      const sent = await cluster.engine.sent();
      const many = await cluster.cost(() => step(bulk, BATCH, 0));
      const bytes = ((await cluster.engine.sent()) - sent) / bulk / (count + 1);
      let reports: Awaited<ReturnType<typeof step>> = [];
      const lone = await cluster.cost(async () => {
        reports = await step(LONE, 1, 10);
      });
      const worst = (of: "p50" | "p99") => Math.max(...reports.map((each) => each[of])).toFixed(1);
      row(
        count,
        ((many.engine / bulk) * 1e6).toFixed(1),
        ((sum(many.followers) / bulk / count) * 1e6).toFixed(1),
        `${((lone.engine / lone.seconds) * 100).toFixed(0)} %`,
        `${worst("p50")} / ${worst("p99")}`,
        Math.round(bytes),
      );
    });
  }
}

const notes: string[] = [];
if (ENGINE === undefined) {
  print("neither valkey-server nor redis-server is installed: nothing was measured");
} else {
  print(`${engineVersion()}; Node ${process.version}; ${cpus().length} x ${cpus()[0]?.model}`);
  const parts = { nodes, intake, fanout, fleet };
  for (const part of PARTS) if (args.part.split(",").includes(part)) await parts[part]();
  for (const note of notes) print(`\n${note}`);
}

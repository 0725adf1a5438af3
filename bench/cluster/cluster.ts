/** The processes of one row: an engine, nodes, the pages, and perhaps followers that only read. */
import { Child } from "../child.ts";
import { Engine } from "./engine.ts";
import type { Command, Kind, Report } from "./protocol.ts";

const DEADLINE_MS = 120_000;

type Process = Child<Command, Report>;
const script = (name: string) => new URL(`./${name}.js`, import.meta.url);

export interface ClusterOptions {
  readonly kind: Kind;
  readonly nodes: number;
  /** Processes of followers: how many each has. */
  readonly followers?: readonly number[];
  /** Where each node leaves a profile of its CPU time. */
  readonly profile?: string;
}

/** What one step has cost, s. */
export interface Cost {
  readonly seconds: number;
  readonly engine: number;
  /** The first node publishes. */
  readonly nodes: readonly number[];
  readonly followers: readonly number[];
}

export class Cluster {
  readonly engine: Engine;
  readonly #kind: Kind;
  readonly #nodes: readonly Process[];
  readonly #followers: readonly Process[];
  readonly #load: Process;
  ports: readonly number[] = [];

  private constructor(engine: Engine, { kind, nodes, followers = [], profile }: ClusterOptions) {
    this.engine = engine;
    this.#kind = kind;
    const start = (name: string, args: readonly string[], node: readonly string[] = []) =>
      new Child<Command, Report>(script(name), args, { deadlineMs: DEADLINE_MS, node });
    const profiled = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
    const port = `${engine.port}`;
    this.#nodes = Array.from({ length: nodes }, () => start("node", [kind, port], profiled));
    this.#followers = followers.map((count) => start("fleet", [port, `${count}`]));
    this.#load = start("load", []);
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(await Engine.start(), options);
    const listening = [];
    for (const node of cluster.#nodes) listening.push((await node.expect("listening")).port);
    for (const each of cluster.#followers) await each.expect("listening");
    cluster.ports = listening;
    return cluster;
  }

  get #publisher(): Process {
    return this.#nodes[0] as Process;
  }

  /** Halts all nodes but the first, or lets them go on. */
  halt(yes: boolean): void {
    for (const node of this.#nodes.slice(1)) node.halt(yes);
  }

  /** Opens `pages` pages for each channel on each node. */
  async connect(channels: readonly string[], pages: number): Promise<void> {
    this.#load.tell({ do: "connect", kind: this.#kind, ports: this.ports, channels, pages });
    await this.#load.expect("connected");
  }

  /** @param everyMs 0: each batch when the one before was taken. @returns seconds */
  async publish(messages: number, channels: number, batch: number, everyMs = 0): Promise<number> {
    this.#publisher.tell({ do: "publish", messages, channels, batch, everyMs });
    return (await this.#publisher.expect("published")).seconds;
  }

  /** A last message, behind all others. */
  last(): void {
    this.#publisher.tell({ do: "last" });
  }

  /** Once so many messages have arrived at the pages since the last time. */
  async arrived(deliveries: number) {
    this.#load.tell({ do: "await", deliveries });
    return this.#load.expect("received");
  }

  /** The same at each process of followers: so many for every follower of it. */
  async followed(counts: readonly number[], messages: number) {
    const reports = this.#followers.map((each, index) => {
      each.tell({ do: "await", deliveries: messages * (counts[index] ?? 0) });
      return each.expect("received");
    });
    return Promise.all(reports);
  }

  async #cpu(processes: readonly Process[]): Promise<number[]> {
    const all = [];
    for (const each of processes) {
      each.tell({ do: "cpu" });
      all.push((await each.expect("cpu")).seconds);
    }
    return all;
  }

  /** CPU time of every process but the pages' while `step` runs. */
  async cost(step: () => Promise<unknown>): Promise<Cost> {
    const [engine, nodes, followers] = [
      this.engine.cpu,
      await this.#cpu(this.#nodes),
      await this.#cpu(this.#followers),
    ];
    const begun = performance.now();
    await step();
    const seconds = (performance.now() - begun) / 1000;
    const since = (before: readonly number[], after: readonly number[]) =>
      after.map((each, index) => each - (before[index] ?? 0));
    return {
      seconds,
      engine: this.engine.cpu - engine,
      nodes: since(nodes, await this.#cpu(this.#nodes)),
      followers: since(followers, await this.#cpu(this.#followers)),
    };
  }

  /** Pages come to other nodes with 1,000 messages of the first channel missed. */
  async move(pages: number) {
    this.#load.tell({ do: "move", ports: this.ports, pages });
    return this.#load.expect("moved");
  }

  async stop(): Promise<void> {
    const all = [...this.#nodes, ...this.#followers, this.#load];
    await Promise.all(all.map((each) => each.stop({ do: "stop" })));
    await this.engine.stop();
  }
}

export const sum = (values: readonly number[]): number =>
  values.reduce((total, each) => total + each, 0);

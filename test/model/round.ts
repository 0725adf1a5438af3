/** One random history: publishers, faults, restarts, reconnects; then everything heals. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type oracledb from "oracledb";
import type { CallName, Moment } from "../../emulator/index.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";
import { type Carrier, ModelClient } from "./client.ts";
import type { NodeOptions, ServiceNode } from "./node.ts";
import { Random } from "./random.ts";
import { verify } from "./verify.ts";

const CHANNELS = ["a", "b"];
const MOMENTS: readonly Moment[] = [
  "request",
  "waiting",
  "before-commit",
  "after-commit",
  "answer",
];
const CALLS: readonly (CallName | undefined)[] = [
  undefined,
  "dequeue",
  "commit",
  "execute",
  "ping",
];

export interface RoundOptions {
  readonly seed: number;
  readonly steps: number;
  readonly start: (options: NodeOptions) => Promise<ServiceNode>;
  /** How likely each kind of step is. */
  readonly weights: Readonly<Record<Step, number>>;
}

export type Step =
  | "call"
  | "commit"
  | "rollback"
  | "kill publisher"
  | "kill session"
  | "terminate session"
  | "freeze session"
  | "kill frozen"
  | "refuse"
  | "away"
  | "crash"
  | "restart"
  | "cut client"
  | "pause";

/** Two pages have WebSockets, the others none. */
const CARRIERS: readonly Carrier[] = ["websocket", "websocket", "stream", "poll"];

/** A database session that publishes. `n` counts its calls, committed or not. */
interface Publisher {
  readonly session: number;
  connection: oracledb.Connection;
  n: number;
}

/** @returns what is wrong, with the trace; empty when everything is as promised. */
export async function playRound(options: RoundOptions): Promise<string[]> {
  const stateDirectory = await mkdtemp(join(tmpdir(), "rtm-model-"));
  const random = new Random(options.seed);
  const profile = random.pick(["19c", "23ai"] as const);
  const world = await World.start({ profile });
  const round = new Round(options, world, stateDirectory, random);
  const fail = (error: unknown) => [
    `${(error as Error).stack}`,
    `profile ${profile}, steps: ${round.trace.join(", ")}`,
  ];
  try {
    await round.play();
    const problems = round.problems();
    return problems.length > 0 ? fail(new Error(problems.slice(0, 10).join("\n"))) : [];
  } catch (error) {
    return fail(error);
  } finally {
    await round.end();
    await rm(stateDirectory, { recursive: true, force: true });
  }
}

class Round {
  readonly trace: string[] = [];
  readonly #options: RoundOptions;
  readonly #world: World;
  readonly #random: Random;
  readonly #stateDirectory: string;
  readonly #publishers: Publisher[] = [];
  readonly #clients: ModelClient[] = [];
  readonly #frozen: number[] = [];
  #node: ServiceNode | undefined;
  #port = 0;
  #sessions = 0;
  #refusals = 0;

  constructor(options: RoundOptions, world: World, stateDirectory: string, random: Random) {
    this.#options = options;
    this.#world = world;
    this.#stateDirectory = stateDirectory;
    this.#random = random;
  }

  async play(): Promise<void> {
    await this.#startNode();
    for (const carrier of CARRIERS) this.#clients.push(this.#client(carrier));
    for (let n = 0; n < 2; n++) this.#publishers.push(await this.#publisher());
    for (let step = 0; step < this.#options.steps; step++) {
      const kind = this.#random.weighted(this.#options.weights);
      this.trace.push(kind);
      await this.#step(kind);
    }
    await this.#heal();
  }

  problems(): string[] {
    const { broadcasts } = this.#world.schema;
    const exiled = this.#world.emulator.queue(this.#world.queue.exceptionQueue).depth();
    return [
      ...this.#clients.flatMap((client, index) =>
        verify(client, broadcasts, CHANNELS).map((problem) => `client ${index}: ${problem}`),
      ),
      ...(exiled > 0 ? [`${exiled} messages in the exception queue`] : []),
    ];
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await this.#node?.crash();
    await this.#world[Symbol.asyncDispose]();
  }

  #client(carrier: Carrier): ModelClient {
    return new ModelClient({
      carrier,
      channels: CHANNELS,
      port: () => (this.#port === 0 ? undefined : this.#port),
      committedRows: () => this.#world.schema.broadcasts.length,
    });
  }

  async #publisher(): Promise<Publisher> {
    return { session: ++this.#sessions, connection: await this.#world.connect(), n: 0 };
  }

  async #startNode(): Promise<void> {
    const random = this.#random;
    this.#node = await this.#options.start({
      world: this.#world,
      stateDirectory: this.#stateDirectory,
      port: this.#port,
      worker: {
        queues: [{ name: "RTM_QUEUE", wait: "1s", batch: random.pick([1, 3, 100]) }],
        receipts: random.chance(0.5),
        holdPing: "1s",
      },
      refuse: () => this.#refusals > 0 && this.#refusals-- > 0,
    });
    this.#port = this.#node.port;
  }

  async #step(kind: Step): Promise<void> {
    const random = this.#random;
    const { faults } = this.#world.emulator;
    const publisher = random.pick(this.#publishers);
    switch (kind) {
      case "call":
        for (let left = random.int(1, 4); left > 0; left--) await this.#call(publisher);
        return;
      case "commit":
      case "rollback":
        await publisher.connection[kind]();
        return;
      case "kill publisher":
        await this.#killPublisher(publisher);
        return;
      case "kill session":
      case "freeze session": {
        const fault = faults.inject({
          at: random.pick(MOMENTS),
          call: random.pick(CALLS) as CallName,
          do: kind === "kill session" ? "kill" : "freeze",
          session: ({ module, frozen }) => module === "apex-rtm" && !frozen,
        });
        if (kind === "freeze session") void fault.fired.then(({ id }) => this.#frozen.push(id));
        return;
      }
      case "kill frozen":
        this.#killFrozen();
        return;
      case "terminate session": {
        const [session] = this.#world.emulator
          .sessions()
          .filter(({ module, frozen }) => module === "apex-rtm" && !frozen);
        if (session) faults.terminate(session);
        return;
      }
      case "refuse":
        this.#refusals += random.int(1, 5);
        return;
      case "away":
        await faults.refuseConnections(random.pick(["port-closed", "drop", 12514] as const));
        await sleep(random.int(0, 20));
        await faults.acceptConnections();
        return;
      case "crash":
        await this.#node!.crash();
        await this.#startNode();
        return;
      case "restart":
        await this.#node!.stop();
        await this.#startNode();
        return;
      case "cut client":
        random.pick(this.#clients).cut();
        return;
      case "pause":
        await sleep(random.int(0, 20));
        return;
    }
  }

  async #call(publisher: Publisher): Promise<void> {
    const { session } = publisher;
    const channel = this.#random.pick(CHANNELS);
    await this.#world.broadcast(publisher.connection, { session, n: ++publisher.n }, channel);
  }

  /** Its transaction is lost, or its commit is in doubt: the database knows, the client does not. */
  async #killPublisher(publisher: Publisher): Promise<void> {
    const { faults } = this.#world.emulator;
    await this.#call(publisher);
    const at = this.#random.pick(["before-commit", "after-commit"] as const);
    const fault = faults.inject({ at, do: "kill", session: ({ module }) => module !== "apex-rtm" });
    await publisher.connection.commit().catch(() => {});
    fault.cancel();
    Object.assign(publisher, await this.#publisher());
  }

  #killFrozen(): void {
    const alive = new Set(this.#world.emulator.sessions().map(({ id }) => id));
    for (const id of this.#frozen.splice(0)) {
      if (alive.has(id)) this.#world.emulator.faults.kill(id);
    }
  }

  async #heal(): Promise<void> {
    const { emulator } = this.#world;
    this.#refusals = 0;
    // What is frozen stays so until the database notices; only then are its locks free.
    emulator.faults.clear().catch(() => {});
    this.#killFrozen();
    for (const publisher of this.#publishers) {
      if (this.#random.chance(0.5)) await publisher.connection.rollback();
      else await publisher.connection.commit();
    }
    const last = this.#publishers[0]!;
    for (const channel of CHANNELS) {
      const { session } = last;
      await this.#world.broadcast(last.connection, { session, n: ++last.n }, channel);
    }
    await last.connection.commit();
    const ends = this.#world.schema.broadcasts.slice(-CHANNELS.length);
    await until(
      "every client has the last messages",
      () =>
        ends.every(({ messageId, channel }) =>
          this.#clients.every(
            ({ stream, refreshed }) =>
              stream.some(({ id }) => id === messageId) ||
              (refreshed.get(channel!) ?? 0) >= this.#world.schema.broadcasts.length,
          ),
        ),
      20_000,
    );
    await until("the queue is empty", () => this.#world.queue.depth() === 0, 20_000);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One history: three nodes, two workers, four pages, one engine, and everything that can happen. */
import { type Batch, ModelEngine } from "./engine.ts";
import { ModelWorker } from "./model-worker.ts";
import { Page } from "./page.ts";
import { GRACE, RelayNode } from "./relay-node.ts";
import { type Rule, RuleSet } from "./rules.ts";
import { CHANNELS, type Found, type ModelMessage, World } from "./world.ts";

export interface HistoryOptions {
  readonly seed: number;
  /** Rules that this history is played without. */
  readonly off?: readonly Rule[];
  readonly steps?: number;
  /** How many entries a trim leaves. */
  readonly trims?: readonly number[];
}

export interface HistoryResult {
  readonly found: readonly Found[];
  readonly trace: readonly string[];
  readonly refreshes: number;
}

const WEIGHTS = {
  commit: 140,
  work: 200,
  rest: 40,
  follow: 180,
  pump: 140,
  "engine restarts": 30,
  "engine saves": 25,
  flush: 7,
  "replica's data": 8,
  "node cut": 20,
  "worker cut": 10,
  takeover: 30,
  "node restarts": 15,
  move: 55,
  reload: 20,
  sweep: 10,
  trim: 30,
  "worker killed": 10,
  join: 30,
} as const;

export function playHistory(options: HistoryOptions): HistoryResult {
  const world = new World(options.seed, new RuleSet(options.off));
  const history = new History(world, options.trims ?? [2, 5, 15]);
  for (world.now = 1; world.now <= (options.steps ?? 160); world.now++) history.step();
  history.rest();
  return history.result();
}

class History {
  readonly #world: World;
  readonly #trims: readonly number[];
  readonly #engine: ModelEngine;
  readonly #nodes: RelayNode[];
  readonly #workers: ModelWorker[];
  readonly #pages: Page[];
  #late: { at: number; run: number; batch: Batch }[] = [];
  #fences = 0;
  #messages = 0;

  constructor(world: World, trims: readonly number[]) {
    this.#world = world;
    this.#trims = trims;
    this.#engine = new ModelEngine(world);
    this.#nodes = ["x", "y", "z"].map((name) => new RelayNode(name, world, this.#engine));
    const host = {
      later: (batch: Batch) => {
        const at = world.now + world.random.int(1, 80);
        this.#late.push({ at, run: this.#engine.run, batch });
      },
      killed: (worker: ModelWorker) => this.#kill(worker),
    };
    this.#workers = ["v", "w"].map(
      (name, index) =>
        new ModelWorker(name, this.#nodes[index] as RelayNode, world, this.#engine, host),
    );
    for (const node of this.#nodes) for (let read = 0; read < 3; read++) node.follow(100);
    this.#pages = [0, 1, 2, 3].map((index) => new Page(`p${index}`, world));
    for (const page of this.#pages) world.random.pick(this.#nodes).subscribe(page);
    this.#lead(this.#workers[0] as ModelWorker);
  }

  #lead(worker: ModelWorker): void {
    if (worker.leads) return;
    for (const other of this.#workers) other.leads = false;
    worker.lead(++this.#fences);
  }

  /** The process: worker and node are one. */
  #kill(worker: ModelWorker): void {
    worker.restart();
    worker.node.restart();
    const others = this.#workers.filter((other) => other !== worker);
    this.#lead(others.find(({ paused }) => paused === 0) ?? (others[0] as ModelWorker));
  }

  #join(page: Page): void {
    const { random } = this.#world;
    for (let attempt = 0; attempt < 2 && !page.subscription; attempt++) {
      random.pick(this.#nodes).subscribe(page);
    }
  }

  #message(session: string): ModelMessage {
    const index = ++this.#messages;
    const channel = this.#world.random.pick(CHANNELS);
    return { id: `${session}${index}`, channel, session, index };
  }

  /** POST on any node, with an id made there: sent once, and its sender told what became of it. */
  #post(node: RelayNode): void {
    if (node.cut > 0 || !node.ready || node.epoch === undefined) return;
    const message = this.#message(`rest-${node.name}-`);
    this.#world.database.set(message.id, message);
    const outcome = this.#engine.append({
      epoch: node.epoch,
      source: message.session,
      messages: [message],
      own: true,
    });
    if (outcome.kind === "ok") node.acknowledged(outcome.mark);
    else this.#world.database.delete(message.id);
  }

  step(): void {
    const world = this.#world;
    const { random } = world;
    for (const each of [...this.#nodes, ...this.#workers]) if (each.cut > 0) each.cut--;
    for (const worker of this.#workers) if (worker.paused > 0) worker.paused--;
    for (const late of this.#late.filter(({ at }) => at <= world.now)) {
      this.#late.splice(this.#late.indexOf(late), 1);
      // What was in the socket of an engine that is gone is gone with it.
      if (late.run === this.#engine.run) this.#engine.append(late.batch);
    }
    for (const node of this.#nodes) {
      if (node.cut > GRACE) for (const { page } of [...node.subscriptions]) page.leave();
    }
    const node = random.pick(this.#nodes);
    const page = random.pick(this.#pages);
    const worker = random.pick(this.#workers);
    switch (random.weighted(WEIGHTS)) {
      case "commit": {
        const message = this.#message("m");
        world.database.set(message.id, message);
        world.queue.push(message);
        break;
      }
      case "work":
        worker.step();
        break;
      case "rest":
        this.#post(node);
        break;
      case "follow":
        node.follow(random.int(1, 4));
        break;
      case "pump":
        if (page.subscription) page.subscription.node.pump(page.subscription, random.int(1, 3));
        break;
      case "engine restarts":
        this.#engine.restart(random.chance(0.7));
        break;
      case "engine saves":
        this.#engine.save();
        break;
      case "flush":
        this.#engine.flush();
        break;
      case "replica's data":
        this.#engine.takeReplicasData();
        break;
      case "node cut":
        node.cut = random.int(1, 30);
        world.say(`node ${node.name} is cut off for ${node.cut}`);
        break;
      case "worker cut":
        worker.cut = random.int(1, 30);
        world.say(`worker ${worker.name} is cut off for ${worker.cut}`);
        break;
      case "takeover": {
        const idle = this.#workers.find(({ leads }) => !leads);
        if (idle) this.#lead(idle);
        break;
      }
      case "node restarts": {
        world.say(`node ${node.name} restarts`);
        const own = this.#workers.find((each) => each.node === node);
        if (own?.leads) this.#kill(own);
        else {
          own?.restart();
          node.restart();
        }
        break;
      }
      case "move":
        page.leave();
        this.#join(page);
        break;
      case "reload":
        page.load();
        break;
      case "sweep":
        node.sweep();
        break;
      case "trim":
        this.#engine.trim(random.pick(this.#trims));
        break;
      case "worker killed": {
        const leader = this.#workers.find(({ leads }) => leads);
        if (leader) this.#kill(leader);
        break;
      }
      case "join": {
        const waiting = this.#pages.find(({ subscription }) => !subscription);
        if (waiting) this.#join(waiting);
        break;
      }
    }
  }

  /** Everything is repaired, the queue drains, every page is somewhere; then all is checked. */
  rest(): void {
    const world = this.#world;
    for (const { run, batch } of this.#late)
      if (run === this.#engine.run) this.#engine.append(batch);
    this.#late = [];
    for (let round = 0; round < 400; round++) {
      world.now++;
      for (const each of [...this.#nodes, ...this.#workers]) each.cut = 0;
      if (!this.#workers.some(({ leads }) => leads)) this.#lead(this.#workers[0] as ModelWorker);
      for (const worker of this.#workers) {
        worker.paused = 0;
        worker.step();
      }
      for (const late of this.#late.splice(0)) {
        if (late.run === this.#engine.run) this.#engine.append(late.batch);
      }
      for (const node of this.#nodes) node.follow(10);
      for (const page of this.#pages) {
        if (!page.subscription) this.#join(page);
        if (page.subscription) page.subscription.node.pump(page.subscription, 50);
      }
      if (round > 60 && world.queue.length === 0 && this.#isQuiet()) break;
    }
    for (const { name, epoch, cursor } of this.#nodes) {
      const { state } = this.#engine;
      if (epoch !== state.epoch || cursor !== state.n) {
        world.report("deaf", name, `${epoch}:${cursor}, engine ${state.epoch}:${state.n}`);
      }
    }
    for (const page of this.#pages) page.check();
  }

  #isQuiet(): boolean {
    const { state } = this.#engine;
    return (
      this.#pages.every(({ subscription }) => subscription && !subscription.behind) &&
      this.#nodes.every(({ epoch, cursor }) => epoch === state.epoch && cursor === state.n)
    );
  }

  result(): HistoryResult {
    const { found, trace } = this.#world;
    return { found, trace, refreshes: this.#pages.reduce((sum, page) => sum + page.refreshes, 0) };
  }
}

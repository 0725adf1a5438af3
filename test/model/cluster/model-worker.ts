/** A worker: takes a batch under a lease, appends it, commits. It may not know that it lost the lease. */
import type { Batch, ModelEngine } from "./engine.ts";
import type { RelayNode } from "./relay-node.ts";
import type { ModelMessage, World } from "./world.ts";

interface Held {
  readonly fence: number;
  readonly batch: readonly ModelMessage[];
  readonly parts: readonly (readonly ModelMessage[])[];
  left: (readonly ModelMessage[])[];
  epoch: string | undefined;
}

export interface WorkerHost {
  /** A batch that is under way and arrives later, whatever has happened meanwhile. */
  later(batch: Batch): void;
  killed(worker: ModelWorker): void;
}

export class ModelWorker {
  readonly name: string;
  readonly node: RelayNode;
  readonly #world: World;
  readonly #engine: ModelEngine;
  readonly #host: WorkerHost;
  #held: Held | undefined;
  /** Whether its database session still holds the lease. */
  leads = false;
  fence = 0;
  paused = 0;
  cut = 0;
  #connectedTo: number | undefined;
  #epoch: string | undefined;

  constructor(name: string, node: RelayNode, world: World, engine: ModelEngine, host: WorkerHost) {
    this.name = name;
    this.node = node;
    this.#world = world;
    this.#engine = engine;
    this.#host = host;
  }

  restart(): void {
    this.#held = undefined;
    this.leads = false;
    this.#connectedTo = undefined;
    this.#epoch = undefined;
  }

  lead(fence: number): void {
    this.leads = true;
    this.#held = undefined;
    this.fence = fence;
    this.#world.say(`worker ${this.name} leads #${fence}`);
  }

  step(): void {
    const { random } = this.#world;
    if (this.paused > 0) return;
    if (!this.#held && !this.#dequeue()) return;
    const held = this.#held as Held;
    if (random.chance(0.1)) {
      this.paused = random.int(1, 70);
      this.#world.say(`worker ${this.name} stands still for ${this.paused}`);
      return;
    }
    while (this.#held && held.left.length > 0) {
      if (!this.#send(held)) return;
      held.left.shift();
    }
    if (!this.#held) return;
    if (random.chance(0.08)) {
      this.#world.say(`worker ${this.name} dies before its commit`);
      this.#host.killed(this);
      return;
    }
    // A commit counts only while the session that dequeued holds the lease.
    if (this.leads && held.fence === this.fence) {
      this.#world.queue = this.#world.queue.filter((message) => !held.batch.includes(message));
    }
    this.#held = undefined;
  }

  #dequeue(): boolean {
    const { random, queue } = this.#world;
    if (!this.leads) return false;
    const batch = queue.slice(0, random.int(1, 4));
    if (batch.length === 0) return false;
    const parts =
      batch.length > 1 && random.chance(0.3) ? [batch.slice(0, 1), batch.slice(1)] : [batch];
    this.#held = { fence: this.fence, batch, parts, left: [...parts], epoch: this.#epoch };
    return true;
  }

  #attach(): void {
    const { epoch } = this.#engine.attach({
      ...this.node.attacher,
      name: `worker ${this.name}`,
    });
    this.#connectedTo = this.#engine.run;
    this.#epoch = epoch;
  }

  #send(held: Held): boolean {
    const { random, rules } = this.#world;
    if (this.cut > 0) return false;
    if (this.#connectedTo !== this.#engine.run) this.#attach();
    if (rules.on("whole") && held.epoch !== this.#epoch) {
      held.left = [...held.parts];
      held.epoch = this.#epoch;
    }
    const batch = {
      epoch: this.#epoch as string,
      source: "queue",
      fence: held.fence,
      messages: held.left[0] as readonly ModelMessage[],
    };
    const luck = random.next();
    if (luck < 0.07) {
      this.#host.later(batch);
      return false;
    }
    const outcome = this.#engine.append(batch);
    if (luck < 0.17) return false;
    if (outcome.kind === "moved") {
      this.#attach();
      return false;
    }
    if (outcome.kind === "fenced") {
      this.#world.say(`worker ${this.name} is fenced`);
      this.#held = undefined;
      this.leads = false;
      return false;
    }
    this.node.acknowledged(outcome.mark);
    return true;
  }
}

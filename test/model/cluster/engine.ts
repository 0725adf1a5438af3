/** The engine: one state, two scripts, and the ways in which it loses or exchanges that state. */
import type { ModelMessage, Placed, World } from "./world.ts";

/** Steps that an id is remembered without the rule `ids`. */
const ID_STEPS = 30;
/** Ids remembered per source with it: more than a batch in flight, as in the field. */
const ID_COUNT = 60;

export interface ModelEntry {
  readonly generation: number;
  readonly n: number;
  readonly previous: number;
  readonly token: number;
  readonly messages: readonly Placed[];
}

export interface Mark {
  readonly epoch: string;
  readonly n: number;
  readonly token: number;
}

interface State {
  epoch: string | undefined;
  run: number;
  replid: number;
  generation: number;
  n: number;
  token: number;
  seqs: Map<string, number>;
  ids: Map<string, { source: string; at: number }>;
  fences: Map<string, number>;
  log: ModelEntry[];
}

const emptyState = (): State => ({
  epoch: undefined,
  run: 0,
  replid: 0,
  generation: 0,
  n: 0,
  token: 0,
  seqs: new Map(),
  ids: new Map(),
  fences: new Map(),
  log: [],
});

const copyOf = (state: State): State => ({
  ...state,
  seqs: new Map(state.seqs),
  ids: new Map(state.ids),
  fences: new Map(state.fences),
  log: [...state.log],
});

export interface Attacher {
  readonly name: string;
  readonly generation: number;
  readonly witness: Mark | undefined;
}

export interface Batch {
  readonly epoch: string;
  readonly source: string;
  readonly fence?: number;
  readonly messages: readonly ModelMessage[];
  /** The ids were made for this call. */
  readonly own?: boolean;
}

export type Outcome =
  | { readonly kind: "ok"; readonly mark: Mark }
  | { readonly kind: "moved" }
  | { readonly kind: "fenced" };

export class ModelEngine {
  state = emptyState();
  run: number;
  replid: number;
  readonly #world: World;
  #disk = emptyState();
  #replica = emptyState();

  constructor(world: World) {
    this.#world = world;
    this.run = world.fresh();
    this.replid = world.fresh();
  }

  /** A new process, from all of the state or from what was on disk. */
  restart(tailLost: boolean): void {
    const { state } = this;
    this.#world.say(`engine restarts, ${tailLost ? `n ${state.n} -> ${this.#disk.n}` : "whole"}`);
    if (tailLost) this.state = copyOf(this.#disk);
    else this.#disk = copyOf(state);
    this.run = this.#world.fresh();
  }

  save(): void {
    this.#disk = copyOf(this.state);
    this.#replica = copyOf(this.state);
  }

  flush(): void {
    this.#world.say("FLUSHALL");
    this.state = emptyState();
  }

  /** A failover taken back: the same process, the data of a replica, another replication id. */
  takeReplicasData(): void {
    this.#world.say(`a replica's data: n ${this.state.n} -> ${this.#replica.n}`);
    this.state = copyOf(this.#replica);
    this.replid = this.#world.fresh();
  }

  trim(keep: number): void {
    const { log } = this.state;
    if (log.length > keep) log.splice(0, log.length - keep);
  }

  /** @param run the run id as the attacher learned it; the engine's own unless it asked before */
  attach({ name, generation, witness }: Attacher, run = this.run): { epoch: string; g: number } {
    const { state } = this;
    const { rules } = this.#world;
    let why = state.epoch === undefined ? "empty" : "";
    if (!why && state.run !== run) why = "restarted";
    if (!why && rules.on("replid") && state.replid !== this.replid) why = "replicated";
    if (!why && rules.on("chain") && witness?.epoch === state.epoch) why = this.#fork(witness);
    if (!why && rules.on("gen") && generation > state.generation) why = "older";
    if (why) {
      const known = rules.on("gen") ? Math.max(state.generation, generation) : state.generation;
      Object.assign(state, {
        epoch: `e${this.#world.fresh()}`,
        generation: known + 1,
        n: 0,
        token: 0,
        seqs: new Map(),
        log: [],
      });
      this.#world.say(`${name} begins ${state.epoch} (g ${state.generation}): ${why}`);
    }
    state.run = run;
    state.replid = this.replid;
    return { epoch: state.epoch as string, g: state.generation };
  }

  #fork(witness: Mark | undefined): string {
    const { state } = this;
    if (!witness || witness.n === 0) return "";
    if (state.n < witness.n) return "fork: a seen entry is gone";
    const token =
      state.n === witness.n
        ? state.token
        : (state.log.find(({ n }) => n === witness.n)?.token ??
          state.log.find(({ n }) => n === witness.n + 1)?.previous);
    return token !== undefined && token !== witness.token ? "fork: another entry there" : "";
  }

  /** Whether this is still the engine that `epoch` is bound to. */
  isBoundTo(epoch: string): boolean {
    const { state } = this;
    return (
      state.epoch === epoch &&
      state.run === this.run &&
      (!this.#world.rules.on("replid") || state.replid === this.replid)
    );
  }

  append({ epoch, source, fence, messages, own = false }: Batch): Outcome {
    const { state } = this;
    const { rules, now } = this.#world;
    if (!this.isBoundTo(epoch)) return { kind: "moved" };
    if (rules.on("token") && fence !== undefined) {
      if ((state.fences.get(source) ?? 0) > fence) return { kind: "fenced" };
      state.fences.set(source, fence);
    }
    const placed: Placed[] = [];
    for (const message of messages) {
      const seen = own ? undefined : state.ids.get(message.id);
      if (seen && (rules.on("ids") || now - seen.at < ID_STEPS)) continue;
      state.ids.delete(message.id);
      state.ids.set(message.id, { source, at: now });
      const seq = (state.seqs.get(message.channel) ?? 0) + 1;
      state.seqs.set(message.channel, seq);
      placed.push({ ...message, seq });
    }
    const mine = [...state.ids].filter(([, seen]) => seen.source === source);
    for (const [id] of mine.slice(0, Math.max(0, mine.length - ID_COUNT))) state.ids.delete(id);
    if (placed.length > 0) {
      const token = this.#world.fresh();
      state.n++;
      const { generation, n, token: previous } = state;
      state.log.push({ generation, n, previous, token, messages: placed });
      state.token = token;
      const said = placed.map(({ channel, seq, id }) => `${channel}${seq}=${id}`).join(" ");
      this.#world.say(`${source}#${fence ?? ""} appends ${epoch} n=${n}: ${said}`);
    }
    return { kind: "ok", mark: { epoch, n: state.n, token: state.token } };
  }
}

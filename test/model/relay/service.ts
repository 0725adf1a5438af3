/** The relay of a history: real code behind pipes, started and ended in every way. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Relay } from "../../../relay/relay.ts";
import { API_KEY, SECRET, startTestRelay, token } from "../../relay/support.ts";
import { connect, get, type Link } from "./carriers.ts";
import { now } from "./clock.ts";
import { AGE_MARGIN_MS } from "./model-log.ts";
import { serverOf } from "./network.ts";
import { ROOM, type World } from "./world.ts";

export type Restart = "restart" | "restart without its state" | "crash";

/** In the state directory. */
const HISTORY_FILE = "relay-history.state";

export class Service {
  relay!: Relay;
  readonly #world: World;
  readonly #directory: string;
  #ghost: Link | undefined;

  constructor(world: World, directory: string) {
    this.#world = world;
    this.#directory = directory;
  }

  async start(): Promise<void> {
    const began = now();
    const { log, fault, network, random } = this.#world;
    const config = {
      stateDirectory: this.#directory,
      publicChannels: [],
      history: { count: log.count, ageMargin: `${AGE_MARGIN_MS}ms` },
      limits: { commandsPerSecond: 100_000, refusalsPerMinute: 0 },
      presence: { rules: [{ channels: ROOM, watchOnly: true }], grace: "300ms" },
      clientEvents: { channels: [ROOM], perSecond: 1000, channelPerSecond: 10_000 },
      heartbeat: { interval: "1s" },
      drain: { window: "0s", grace: "50ms" },
      tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
      apiKeys: [
        { name: "worker", key: API_KEY, trusted: true, scopes: ["publish", "manage", "read"] },
      ],
    };
    // A pipe has no handle, which the fastest wire needs.
    const { started, server } = await serverOf(() => startTestRelay(config, { wire: "joined" }));
    this.relay = started;
    this.#world.door = () => network.connect(server, random.pick([0, 0, 1, 3]));
    const { epoch } = (await this.look("channels")) as { epoch: string };
    log.started(epoch, began);
    this.#world.say(`starts in epoch ${log.epochs}`);
    if (fault === "ghost") await this.#haunt();
  }

  /** Somebody comes whom the model does not know. */
  async #haunt(): Promise<void> {
    const claims = { presence: { join: ["*"] } };
    const ask = {
      token: await token([ROOM], { subject: "GHOST", claims }),
      subscribe: [{ channel: ROOM, presence: { join: true } }],
    };
    this.#ghost = connect("websocket", this.#world.door!(), ask, {
      frame: () => {},
      end: () => {},
    });
  }

  /** What the relay answers to a key. */
  look(what: string): Promise<object> {
    return get(this.#world.door!(), `/api/${what}`, API_KEY);
  }

  async restart(kind: Restart): Promise<void> {
    const { log, network } = this.#world;
    this.#world.door = undefined;
    this.#ghost?.cut();
    if (kind !== "crash") await this.relay.drain();
    await this.relay.close();
    await network.quiet();
    if (kind === "restart without its state")
      await rm(join(this.#directory, HISTORY_FILE), { force: true });
    const { epoch } = log;
    await this.start();
    if ((kind === "restart") !== (log.epoch === epoch)) {
      this.#world.report("recovery", `${kind}: the epoch is wrong`);
    }
  }

  async end(): Promise<void> {
    this.#ghost?.cut();
    await this.relay?.close();
  }
}

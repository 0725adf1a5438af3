/** The end of a history: nothing happens any more, and everybody has what there is. */
import { now, pass } from "./clock.ts";
import { TYPING } from "./model-talk.ts";
import type { Page } from "./page.ts";
import type { Service } from "./service.ts";
import { ROOM, type World } from "./world.ts";

/** How long it may take, ms of the stopped clock. */
const REST_MS = 4000;
/** How often it is looked at, ms. */
const LOOK_MS = 50;

export class Rest {
  readonly #world: World;
  readonly #service: Service;
  readonly #here: readonly Page[];

  /** @param pages all, of which those that are not away have every right */
  constructor(world: World, service: Service, pages: readonly Page[]) {
    this.#world = world;
    this.#service = service;
    this.#here = pages.filter(({ away }) => !away);
  }

  async compare(): Promise<void> {
    await this.#until(() => this.#here.every((page) => page.isComplete));
    const lacking = this.#here.filter((page) => !page.isComplete);
    if (lacking.length > 0) this.#world.report("missing", lacking.map(({ name }) => name).join());
    await this.#comparePositions();
    await this.#compareMembers();
    await this.#compareEvents();
  }

  /** Whoever is connected knows soon how far it has got, however little of it it wants. */
  async #comparePositions(): Promise<void> {
    const listening = this.#here.filter(({ carrier }) => carrier !== "poll");
    if (await this.#until(() => listening.every((page) => page.isAtHead))) return;
    const lacking = listening.filter((page) => !page.isAtHead).map(({ name }) => name);
    this.#world.report("missing", `position of ${lacking.join()}`);
  }

  async #until(isSo: () => boolean | Promise<boolean>): Promise<boolean> {
    for (const end = now() + REST_MS; now() < end; ) {
      if (await isSo()) return true;
      await pass(this.#world.network, LOOK_MS);
    }
    return isSo();
  }

  async #compareMembers(): Promise<void> {
    const seen = this.#here.filter((page) => page.isSeen).map(({ user }) => user);
    const wanted = [...new Set(seen)].sort().join();
    const watching = this.#here.filter(({ carrier }) => carrier !== "poll");
    let told = "";
    const agree = async () => {
      told = await this.#members();
      return [told, ...watching.map(({ members }) => members.names)].every((l) => l === wanted);
    };
    if (await this.#until(agree)) return;
    const lists = watching.map(({ name, members }) => `${name} sees ${members.names}`);
    this.#world.report("members", `${told} instead of ${wanted}; ${lists.join("; ")}`);
  }

  async #members(): Promise<string> {
    const answer = await this.#service.look(`members?channel=${ROOM}`);
    const { members } = answer as { members: { user: string }[] };
    const names = members.map(({ user }) => user);
    return names.sort().join();
  }

  /** Each says something in the room, which all others hear who can. */
  async #compareEvents(): Promise<void> {
    for (const page of this.#here) {
      const n = page.asked?.type();
      if (n === undefined) continue;
      await this.#world.network.quiet();
      for (const other of this.#here) {
        const due = other !== page && other.hears(TYPING);
        if (other.heard.has(n) !== due)
          this.#world.report("event", `${n} of ${page.name} at ${other.name}, or not, wrongly`);
      }
    }
  }
}

/** What the database, or whoever has a key, asks of the relay: messages, and who may read them no longer. */
import { randomUUID } from "node:crypto";
import type { ControlItem } from "../../../relay/contract/control.ts";
import type { Message } from "../../../relay/contract/message.ts";
import type { PublishResult } from "../../../relay/contract/publisher.ts";
import { SOURCE } from "../../relay/support.ts";
import { now } from "./clock.ts";
import type { Page } from "./page.ts";
import type { Service } from "./service.ts";
import { CHANNELS, EVENTS, SESSIONS, USERS, type World } from "./world.ts";

export class Database {
  readonly #world: World;
  readonly #service: Service;
  #published = 0;
  /** What was handed over last, and in which epoch. */
  #lately: { readonly message: Message; readonly epoch: string }[] = [];

  constructor(world: World, service: Service) {
    this.#world = world;
    this.#service = service;
  }

  async publish(count: number): Promise<void> {
    const { random, log, fault } = this.#world;
    const batch = Array.from({ length: count }, () => {
      const channel = random.pick(CHANNELS);
      const event = random.pick(EVENTS);
      // Seconds.
      const retain = random.pick([undefined, undefined, undefined, 1, 1, 3600]);
      const n = ++this.#published;
      const id = randomUUID();
      const order = this.#world.next();
      const keptUntil = retain === undefined ? undefined : now() + retain * 1000;
      const accepted = log.accept(channel, { event, id, n, keptUntil, order });
      const isLong =
        fault === "endless last value" || (fault === "late last value" && retain !== undefined);
      const asked = isLong ? 3600 : retain;
      const kept = asked === undefined ? {} : { retain: asked };
      const message: Message = { channel, eventName: event, payload: `${n}`, id, ts: 1, ...kept };
      return { message, accepted };
    });
    const messages = batch.map(({ message }) => message);
    const results = await this.#service.relay.publisher.publish(messages, SOURCE);
    for (const { accepted } of batch) accepted.after = now();
    this.#compare(results, batch.length, false);
    const { epoch } = log;
    this.#lately = [...this.#lately, ...messages.map((message) => ({ message, epoch }))].slice(-10);
  }

  /** As a worker does that was not told whether the relay had taken it. */
  async repeat(): Promise<void> {
    const { random, log } = this.#world;
    const known = this.#lately.filter(({ epoch }) => epoch === log.epoch);
    if (known.length === 0) return;
    const { message } = random.pick(known);
    this.#compare(await this.#service.relay.publisher.publish([message], SOURCE), 1, true);
  }

  #compare(results: readonly PublishResult[], count: number, duplicate: boolean): void {
    const isRight = (result: PublishResult) =>
      result.status === "accepted" && (result.duplicate ?? false) === duplicate;
    if (results.length === count && results.every(isRight)) return;
    this.#world.report("protocol", `publish (${duplicate}): ${JSON.stringify(results)}`);
  }

  /** @param pages whoever is cut off has gone when all that is under way has come */
  async takeAway(op: "revoke" | "unsubscribe" | "disconnect", pages: readonly Page[]) {
    const { rights } = this.#world;
    const item = this.#item(op);
    const outstay = pages.map((page) => page.outstays(item));
    await this.#control(item, rights.take(item, this.#world.next()));
    await this.#world.network.quiet();
    if (outstay.some((each) => each())) this.#world.report("stays", `after ${op}`);
  }

  /** Mostly something that is kept beside the history only: otherwise nobody would see a difference. */
  async forget(): Promise<void> {
    const { random, log } = this.#world;
    const any = { channel: random.pick(CHANNELS), event: random.pick(EVENTS) };
    const outlived = log.outlived();
    const what = outlived.length > 0 && random.chance(0.8) ? random.pick(outlived) : any;
    const item = { op: "forget", channel: what.channel, eventName: what.event } as const;
    await this.#control(item, log.forget(what.channel, what.event, this.#world.next()));
  }

  #item(op: "revoke" | "unsubscribe" | "disconnect") {
    const { random, rights } = this.#world;
    const whom = random.pick([
      { user: random.pick(USERS) },
      { sid: random.pick(SESSIONS) },
      { jti: `t${random.int(Math.max(1, rights.issued - 8), rights.issued)}` },
    ]);
    if (op === "disconnect") return { op, ...whom, stop: random.chance(0.3) };
    const before = rights.before(random.pick([0, 0, 1, 3]));
    if (op === "revoke") return { op, ...whom, before };
    return { op, ...whom, channel: random.pick(CHANNELS), before };
  }

  async #control(item: ControlItem, given: { answered: number }): Promise<void> {
    this.#world.say(JSON.stringify(item));
    if (this.#world.fault !== `idle ${item.op}`) {
      const results = await this.#service.relay.publisher.control([item], SOURCE);
      if (results.some(({ status }) => status !== "accepted")) {
        this.#world.report("protocol", `control: ${JSON.stringify(results)}`);
      }
    }
    given.answered = this.#world.next();
  }
}

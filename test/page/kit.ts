/** Browser, site and stack of one test file, and what the tests ask of a page. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { until } from "../support/until.ts";
import { launchBrowser } from "./browser.ts";
import { type Attributes, type PageSpec, Site } from "./site.ts";
import { Stack } from "./stack.ts";

export const DEADLINE_MS = 20_000;

export interface World {
  browser: Browser;
  site: Site;
  stack: Stack;
}

/** Collects every event of the Listener; `messages` is what the published event carried. */
const RECORD = `
  window.seen.messages = []; window.seen.statuses = [];
  jQuery(document).on("rtm-message", (event, message) => window.seen.messages.push(message));
  jQuery(document).on("rtm_listener_status", (event, status) => window.seen.statuses.push(status));
`;

/** Starts everything before the file's tests and checks after each that no page misbehaved. */
export function useWorld(): World {
  const world = {} as World;
  beforeAll(async () => {
    world.site = await Site.start();
    world.stack = await Stack.start([world.site.origin]);
    world.site.use(world.stack);
    world.browser = await launchBrowser();
  }, 60_000);
  afterEach(async () => {
    for (const context of world.browser.contexts()) await context.close();
  });
  afterAll(async () => {
    await world.browser?.close();
    await world.site?.close();
    await world.stack?.close();
  });
  return world;
}

/** A page that listens on load and records what it is told. */
export function listening(attributes: Attributes, more: Partial<PageSpec> = {}): PageSpec {
  return {
    ...more,
    actions: [
      { event: "ready", actions: [{ script: RECORD }, { listener: { 3: "*", ...attributes } }] },
      ...(more.actions ?? []),
    ],
  };
}

/** A context whose pages' timers a test can bring forward; they go on by themselves too. */
export async function withClock(world: World): Promise<BrowserContext> {
  const context = await world.browser.newContext();
  await context.clock.install();
  return context;
}

export class Tab {
  readonly page: Page;
  /** WebSockets the page has opened. */
  sockets = 0;
  /** `op` of the frames that came over them; undefined is a message. */
  readonly #ops: (string | undefined)[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(DEADLINE_MS);
    page.on("websocket", (socket) => {
      this.sockets++;
      socket.on("framereceived", ({ payload }) => this.#ops.push(JSON.parse(String(payload)).op));
    });
  }

  /** @param origin of a proxy in front of the site; default the site's own. */
  static async open(
    world: World,
    spec: PageSpec,
    context?: BrowserContext,
    origin = world.site.origin,
  ): Promise<Tab> {
    const place = context ?? (await world.browser.newContext());
    const tab = new Tab(await place.newPage());
    await tab.page.goto(world.site.page(spec).replace(world.site.origin, origin));
    return tab;
  }

  /** What the page noted under `kind`. */
  seen<T = unknown>(kind: string): Promise<T[]> {
    return this.page.evaluate((key) => window.seen[key] ?? [], kind) as Promise<T[]>;
  }

  /** Waits until the page noted something under `kind` that holds these members. */
  async sees(kind: string, members: Record<string, unknown>, times = 1): Promise<void> {
    await this.page.waitForFunction(
      ([key, wanted, least]) => {
        const fits = (value: unknown) =>
          Object.entries(wanted).every(
            ([name, expected]) =>
              JSON.stringify((value as Record<string, unknown>)[name]) === JSON.stringify(expected),
          );
        return (window.seen[key] ?? []).filter(fits).length >= least;
      },
      [kind, members, times] as const,
    );
  }

  /** Waits until the relay has said this so often. */
  async told(op: string, times = 1): Promise<void> {
    await until(`${op} has come`, () => this.#ops.filter((each) => each === op).length >= times);
  }

  /** The channel is live, and nothing of it is missing. */
  async subscribed(channel: string): Promise<void> {
    await this.sees("statuses", { state: "subscribed", channel });
  }

  /** What is due in `ms` is due now. The page's context must have a clock: `withClock`. */
  async skip(ms: number): Promise<void> {
    await this.page.clock.runFor(ms);
  }

  /** Payloads of the messages in the order the page got them. */
  async payloads(): Promise<unknown[]> {
    const messages = await this.seen<{ payload: unknown }>("messages");
    return messages.map(({ payload }) => payload);
  }

  async payloadCount(count: number): Promise<unknown[]> {
    await this.page.waitForFunction((least) => (window.seen.messages ?? []).length >= least, count);
    return this.payloads();
  }

  /** The page is shown or hidden, as far as its script can see. */
  async visible(shown: boolean): Promise<void> {
    await this.page.evaluate(
      (state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      },
      shown ? "visible" : "hidden",
    );
  }

  /** Something that the renewal takes for a user. */
  async active(): Promise<void> {
    for (const at of [10, 20, 30]) await this.page.mouse.move(at, at);
    // A busy browser makes one move of several, and the first one tells nothing.
    await this.page.keyboard.press("Shift");
  }

  value(id: string): Promise<string> {
    return this.page.inputValue(`#${id}`);
  }

  /** Nothing was thrown, and the policy was not violated. */
  async problems(): Promise<unknown[]> {
    return [...(await this.seen("errors")), ...(await this.seen("violations"))];
  }
}

declare global {
  interface Window {
    seen: Record<string, unknown[]>;
  }
}

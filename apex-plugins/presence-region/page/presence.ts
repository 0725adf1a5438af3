/** The function that the presence region calls when the page is ready. */
import { backoffMs } from "../../client/backoff.ts";
import { Activity } from "../../shared/page/activity.ts";
import { type PresenceConfig, textsOf } from "./config.ts";
import { LiveGrid } from "./grid.ts";
import { People, type Person } from "./people.ts";
import { View } from "./view.ts";
import { Visit } from "./visit.ts";

/** What the relay tells of both channels within so long is shown at once, ms. */
const SHOW_MS = 400;

class PresenceRegion {
  readonly #place: HTMLElement;
  readonly #ajaxIdentifier: string;
  readonly #people = new People();
  readonly #activity = new Activity();
  /** Ends what waits for a new beginning. */
  #waiting = new AbortController();
  #pageItems: string | null | undefined;
  /** The region's own element, where it is known; events are triggered there and bubble. */
  #element: HTMLElement;
  #config: PresenceConfig | undefined;
  #view: View | undefined;
  #grid: LiveGrid | undefined;
  #visit: Visit | undefined;
  #holder: Person | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;

  constructor(place: HTMLElement, ajaxIdentifier: string) {
    this.#place = place;
    this.#element = place;
    this.#ajaxIdentifier = ajaxIdentifier;
  }

  /** The page's first configuration. */
  open(config: PresenceConfig): void {
    const id = config.regions?.find(
      (name) => name && document.getElementById(name)?.contains(this.#place),
    );
    if (id) {
      this.#element = document.getElementById(id)!;
      apex.region.create?.(id, {
        type: "RtmPresence",
        refresh: () => this.refresh(`#${CSS.escape(id)}`),
      });
    }
    this.#begin(config);
  }

  /** Asks the server for the channel anew, with the session state of now. */
  refresh(refreshObject?: string): Promise<boolean> {
    const pageItems = this.#pageItems;
    return new Promise((resolve) => {
      apex.server.plugin(
        this.#ajaxIdentifier,
        { x01: "CONFIG", ...(pageItems ? { pageItems } : {}) },
        {
          dataType: "json",
          refreshObject,
          success: (data) => {
            const { configuration } = (data ?? {}) as { readonly configuration?: PresenceConfig };
            this.#activity.used();
            if (configuration) this.#begin(configuration);
            resolve(configuration !== undefined);
          },
          error: (_jqXHR, textStatus, errorThrown) => {
            apex.debug.warn("rtm: the presence region was not refreshed:", textStatus, errorThrown);
            resolve(false);
          },
        },
      );
    });
  }

  #begin(config: PresenceConfig): void {
    this.#waiting.abort();
    this.#waiting = new AbortController();
    this.#visit?.end();
    this.#visit = undefined;
    this.#people.forget();
    this.#pageItems = config.pageItems;
    this.#place.hidden = config.error !== undefined;
    if (config.error !== undefined) {
      apex.debug.error("rtm: the presence region shows nobody:", config.error);
      this.#changed();
      return;
    }
    this.#config = config;
    const texts = textsOf(config.settings);
    this.#view = new View(this.#place, config, texts);
    if (config.grid) {
      this.#grid ??= new LiveGrid(config.grid, config, texts, async (keys) =>
        this.#visit?.edit(keys),
      );
      this.#place.append(this.#grid.element);
    }
    if (config.lazy && !this.#isSeen()) this.#whenSeen(() => this.#enter(config));
    else this.#enter(config);
  }

  #isSeen(): boolean {
    return this.#place.checkVisibility?.() ?? true;
  }

  #whenSeen(task: () => void): void {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      task();
    });
    observer.observe(this.#place);
    this.#waiting.signal.addEventListener("abort", () => observer.disconnect());
  }

  #enter(config: PresenceConfig): void {
    this.#visit = new Visit(config, this.#ajaxIdentifier, {
      onMembers: (members, count, me) => {
        this.#people.me = me ?? this.#people.me;
        const { joined, left } = this.#people.take(members, count);
        const others = (list: readonly Person[]) =>
          list.filter(({ user }) => user !== this.#people.me);
        this.#attempts = 0;
        this.#tell(others(joined), others(left));
        this.#changed();
      },
      onLooking: (users) => {
        this.#people.takeLooking(users);
        this.#changed();
      },
      onRefused: () => {
        this.#people.forget();
        this.#connection("offline");
        this.#changed();
      },
      onState: (state) => this.#connection(state),
      onEnd: (code) => this.#ended(code),
    });
  }

  #connection(state: "live" | "offline"): void {
    this.#place.dataset.state = state;
    this.#grid?.connection(state);
  }

  #tell(joined: readonly Person[], left: readonly Person[]): void {
    const { count } = this.#people;
    for (const person of joined) this.#fire("joined", person, { count });
    for (const person of left) this.#fire("left", person, { count });
    this.#view?.announce(joined, left, count);
  }

  #fire(event: string, { user, name, since }: Person, more: object = {}): void {
    const channel = this.#config?.channel;
    apex.event.trigger(this.#element, `rtm_presence_${event}`, {
      channel,
      user,
      name,
      since,
      ...more,
    });
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#view?.show(this.#people);
      this.#grid?.show(this.#people.others);
      if (!this.#config?.lock) return;
      // As long as nobody knows, whoever had it has it; without a channel there is nothing to have.
      if (!this.#people.known && !this.#place.hidden) return;
      const { holder } = this.#people;
      const before = this.#holder;
      if (holder?.user === before?.user) return;
      this.#holder = holder;
      if (holder) this.#fire("locked", holder);
      else if (before) this.#fire("unlocked", before);
    }, SHOW_MS);
  }

  /** Comes back when the page is looked at, unless it is over for good. */
  #ended(code: string | undefined): void {
    this.#visit = undefined;
    this.#connection("offline");
    if (code !== undefined) {
      this.#people.forget();
      this.#changed();
      return;
    }
    const { signal } = this.#waiting;
    const again = () => {
      if (signal.aborted || document.visibilityState !== "visible") return;
      this.#waiting.abort();
      this.#waiting = new AbortController();
      void this.refresh().then((came) => !came && this.#failed());
    };
    again();
    addEventListener("pageshow", again, { signal });
    document.addEventListener("visibilitychange", again, { signal });
  }

  /** The server did not answer: not again without somebody, who may have an ended session. */
  #failed(): void {
    const { signal } = this.#waiting;
    const again = () => this.#activity.next().then(() => signal.aborted || this.#ended(undefined));
    setTimeout(again, backoffMs(this.#attempts++, Math.random));
  }
}

/** Fills the element with that id. */
export function presence(id: string, configuration: string, ajaxIdentifier: string): void {
  const place = document.getElementById(id);
  if (place) new PresenceRegion(place, ajaxIdentifier).open(JSON.parse(configuration));
  else apex.debug.error("rtm: the page has no element for the presence region:", id);
}

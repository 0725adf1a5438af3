/** The function that the presence region calls when the page is ready. */
import { backoffMs } from "../../client/backoff.ts";
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
        focus: () => this.#place.focus(),
      });
    }
    this.#begin(config);
  }

  /** Asks the server for the channel anew, with the session state of now. */
  refresh(refreshObject?: string): Promise<boolean> {
    const { pageItems } = this.#config ?? {};
    return new Promise((resolve) => {
      apex.server.plugin(
        this.#ajaxIdentifier,
        { x01: "CONFIG", ...(pageItems ? { pageItems } : {}) },
        {
          dataType: "json",
          refreshObject,
          success: (data) => {
            const { configuration } = (data ?? {}) as { readonly configuration?: PresenceConfig };
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
    this.#visit?.end();
    this.#visit = undefined;
    this.#people.forget();
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
      const { holder } = this.#people;
      const before = this.#holder;
      if (holder?.user === before?.user) return;
      this.#holder = holder;
      if (holder) this.#fire("locked", holder);
      else if (before) this.#fire("unlocked", before);
    }, SHOW_MS);
  }

  /** Comes back as soon as the page is looked at and the server answers, unless it is over for good. */
  #ended(code: string | undefined): void {
    this.#visit = undefined;
    this.#connection("offline");
    if (code !== undefined) {
      this.#people.forget();
      this.#changed();
      return;
    }
    const again = () => {
      if (document.visibilityState !== "visible") return;
      ended.abort();
      clearTimeout(timer);
      void this.refresh().then((came) => {
        if (!came && !this.#visit) this.#ended(undefined);
      });
    };
    const ended = new AbortController();
    const { signal } = ended;
    const timer = setTimeout(again, backoffMs(this.#attempts++, Math.random));
    addEventListener("online", again, { signal });
    addEventListener("pageshow", again, { signal });
    document.addEventListener("visibilitychange", again, { signal });
  }
}

/** Fills the element with that id. */
export function presence(id: string, configuration: string, ajaxIdentifier: string): void {
  const place = document.getElementById(id);
  if (place) new PresenceRegion(place, ajaxIdentifier).open(JSON.parse(configuration));
  else apex.debug.error("rtm: the page has no element for the presence region:", id);
}

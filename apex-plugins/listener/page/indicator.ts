/** A badge that says whether the page is live. One per page, whatever the number of listeners. */
import type { Status } from "../../client/link.ts";
import type { Settings } from "./settings.ts";

type Mood = "live" | "catchingUp" | "offline" | "signIn";

const TEXTS: Readonly<Record<Mood, string>> = {
  live: "Live",
  catchingUp: "Catching up",
  offline: "Offline",
  signIn: "Sign in again",
};

/** A reconnect that is over sooner is not worth a word, ms. */
const CALM_MS = 1_000;
/** Failed attempts in a row after which the page counts as offline. */
const ATTEMPTS = 2;

export type ChannelState = "subscribed" | "suspended" | "denied" | "new";

export class Indicator {
  readonly #texts: Record<Mood, string>;
  readonly #element = document.createElement("div");
  readonly #links = new Map<string, Mood>();
  readonly #channels = new Map<string, ChannelState>();
  readonly #failures = new Map<string, number>();
  #shown: Mood | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** It goes into the element with the attribute data-rtm-indicator, else to the page's corner. */
  constructor(settings: Settings) {
    this.#texts = { ...TEXTS };
    for (const mood of Object.keys(TEXTS) as Mood[]) {
      this.#texts[mood] = settings[mood] || TEXTS[mood];
    }
    const place = document.querySelector("[data-rtm-indicator]");
    this.#element.className = "rtm-Indicator";
    this.#element.setAttribute("role", "status");
    if (!place) this.#element.classList.add("rtm-Indicator--corner");
    (place ?? document.body).append(this.#element);
  }

  connection(url: string, { state, code }: Status): void {
    const before = this.#links.get(url);
    let mood: Mood = "catchingUp";
    if (state === "connected") {
      mood = "live";
      this.#failures.delete(url);
    } else if (state === "waiting") {
      const failures = (this.#failures.get(url) ?? 0) + 1;
      this.#failures.set(url, failures);
      if (failures >= ATTEMPTS) mood = "offline";
    } else if (state === "stopped") {
      mood = code === "session_ended" ? "signIn" : "offline";
    } else if (state === "token") {
      mood = "offline";
    } else if (before === "offline") {
      mood = "offline";
    }
    this.#links.set(url, mood);
    this.#update();
  }

  /** `key` names the listener's channel. */
  channel(key: string, state: ChannelState): void {
    this.#channels.set(key, state);
    this.#update();
  }

  #mood(): Mood {
    const links = [...this.#links.values()];
    const channels = [...this.#channels.values()];
    for (const mood of ["signIn", "offline", "catchingUp"] as const) {
      if (links.includes(mood)) return mood;
    }
    if (channels.includes("denied") || channels.includes("suspended")) return "offline";
    return channels.includes("new") ? "catchingUp" : "live";
  }

  #update(): void {
    clearTimeout(this.#timer);
    const mood = this.#mood();
    if (mood === this.#shown) return;
    if (mood === "live" || mood === "signIn") this.#show(mood);
    else this.#timer = setTimeout(() => this.#show(mood), CALM_MS);
  }

  #show(mood: Mood): void {
    this.#shown = mood;
    this.#element.dataset.state = mood;
    const dot = document.createElement("span");
    dot.className = "rtm-Indicator-dot";
    dot.setAttribute("aria-hidden", "true");
    const text = document.createElement(mood === "signIn" ? "button" : "span");
    text.className = "rtm-Indicator-text";
    text.textContent = this.#texts[mood];
    if (text instanceof HTMLButtonElement) {
      text.type = "button";
      text.addEventListener("click", () => location.reload());
    }
    this.#element.replaceChildren(dot, text);
  }
}

let indicator: Indicator | undefined;

export function sharedIndicator(settings: Settings): Indicator {
  indicator ??= new Indicator(settings);
  return indicator;
}

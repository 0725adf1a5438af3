/** On Message: Set Badge. A count on an element of the page, cleared by an event or a click. */

import { member } from "../../shared/page/payload.ts";
import type { Settings } from "./settings.ts";
import type { Tell } from "./status.ts";
import { tellTabs, watchTabs } from "./tabs.ts";

/** The element with that id, or the first that the selector fits. */
function find(target: string): Element | null {
  const byId = document.getElementById(target);
  if (byId) return byId;
  try {
    return document.querySelector(target);
  } catch {
    return null;
  }
}

export class Badge {
  readonly #target: string;
  readonly #settings: Settings;
  readonly #tell: Tell;
  #element: Element | undefined;
  #count = 0;

  /** Its count starts with the element's attribute data-rtm-count, which the server can write. */
  constructor(settings: Settings, tell: Tell) {
    this.#target = settings.badge ?? "";
    this.#settings = settings;
    this.#tell = tell;
    const element = find(this.#target);
    this.#count = Number(element?.getAttribute("data-rtm-count")) || 0;
    if (this.#count > 0) this.#show();
    const clear = () => {
      this.#set(0);
      tellTabs({ cleared: this.#target });
    };
    if (settings.clear) apex.gPageContext$.on(settings.clear, clear);
    else element?.addEventListener("click", clear);
    watchTabs(({ cleared }) => {
      if (cleared === this.#target) this.#set(0);
    });
  }

  /** One more, or what the payload's member says. */
  receive(payload: unknown): void {
    const told = Number(member(payload, this.#settings.count ?? "count") ?? Number.NaN);
    this.#set(Number.isFinite(told) ? told : this.#count + 1);
  }

  #set(count: number): void {
    this.#count = Math.max(0, Math.trunc(count));
    this.#show();
  }

  #show(): void {
    const target = find(this.#target);
    if (!target) {
      apex.debug.error("rtm: the page has no element for the badge:", this.#target);
      this.#tell({ state: "missing", badge: this.#target });
      return;
    }
    if (this.#count === 0) {
      this.#element?.remove();
      this.#element = undefined;
      return;
    }
    if (!this.#element?.isConnected) {
      this.#element = document.createElement("span");
      this.#element.className = "rtm-Badge";
      target.append(this.#element);
    }
    const number = document.createElement("span");
    number.setAttribute("aria-hidden", "true");
    number.textContent = this.#count > 99 ? "99+" : String(this.#count);
    const words = document.createElement("span");
    words.className = "rtm-Badge-words";
    const { badgeLabel = "#count# new" } = this.#settings;
    words.textContent = ` ${badgeLabel.replace("#count#", String(this.#count))}`;
    this.#element.replaceChildren(number, words);
  }
}

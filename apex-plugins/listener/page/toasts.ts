/** Notifications in a corner of the page: a few at a time, the others wait or are counted. */
import { tellTabs, watchTabs } from "./tabs.ts";

export const TYPES = ["success", "info", "warning", "error"] as const;
export type ToastType = (typeof TYPES)[number];

export const POSITIONS = [
  "top-end",
  "top-start",
  "top-center",
  "bottom-end",
  "bottom-start",
  "bottom-center",
] as const;
export type Position = (typeof POSITIONS)[number];

export interface Toast {
  /** The same in every tab: the message's id. */
  readonly id: string;
  readonly type: ToastType;
  readonly title: string;
  readonly text: string;
  readonly link: string | undefined;
  /** How long it stays, s; 0: until it is closed. */
  readonly seconds: number;
  readonly position: Position;
  readonly cssClass: string;
  /** Of the button that closes it. */
  readonly closeLabel: string;
  /** Said of those that were too many, with #count#. */
  readonly more: string;
}

/** On the page at a time, and waiting for their turn; beyond that they are only counted. */
const SHOWN = 3;
const WAITING = 5;
/** Ids remembered of what other tabs have shown, which can be told before the message is here. */
const REMEMBERED = 200;

interface Shown {
  readonly toast: Toast;
  readonly element: HTMLElement;
  readonly counter: HTMLElement;
  count: number;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

const looks = ({ type, title, text, link }: Toast) => JSON.stringify([type, title, text, link]);

function element(tag: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

class Toasts {
  #shown: Shown[] = [];
  #waiting: { readonly toast: Toast; count: number }[] = [];
  readonly #elsewhere = new Set<string>();
  #overflow = 0;
  #last: Toast | undefined;
  readonly #places = new Map<Position, HTMLElement>();

  constructor() {
    watchTabs(({ shown }) => {
      if (shown === undefined) return;
      this.#elsewhere.add(shown);
      const [oldest] = this.#elsewhere;
      if (this.#elsewhere.size > REMEMBERED && oldest !== undefined) this.#elsewhere.delete(oldest);
      this.#waiting = this.#waiting.filter(({ toast }) => toast.id !== shown);
    });
    document.addEventListener("visibilitychange", () => this.#fill());
  }

  add(toast: Toast): void {
    if (this.#elsewhere.has(toast.id)) return;
    const same = (other: { readonly toast: Toast }) => looks(other.toast) === looks(toast);
    const present = this.#shown.find(same);
    const waiting = this.#waiting.find(same);
    if (present) {
      present.count++;
      present.counter.textContent = `\u00d7 ${present.count}`;
      this.#wait(present);
    } else if (waiting) {
      waiting.count++;
    } else if (this.#waiting.length < WAITING) {
      this.#waiting.push({ toast, count: 1 });
      this.#fill();
    } else {
      this.#overflow++;
      this.#last = toast;
    }
  }

  /** A page that nobody sees keeps them: another tab may show them first. */
  #fill(): void {
    if (document.visibilityState !== "visible") return;
    while (this.#shown.length < SHOWN) {
      const next = this.#waiting.shift();
      if (next) {
        this.#show(next.toast, next.count);
        tellTabs({ shown: next.toast.id });
      } else if (this.#overflow > 0 && this.#last) {
        const text = this.#last.more.replace("#count#", String(this.#overflow));
        this.#overflow = 0;
        this.#show({ ...this.#last, type: "info", title: "", text, link: undefined }, 1);
      } else return;
    }
  }

  #show(toast: Toast, count: number): void {
    const box = element("div", `rtm-Toast rtm-Toast--${toast.type}`);
    for (const name of toast.cssClass.split(/\s+/).filter(Boolean)) box.classList.add(name);
    if (toast.type === "error" || toast.type === "warning") box.setAttribute("role", "alert");
    const content = element("div", "rtm-Toast-content");
    if (toast.title) content.append(element("strong", "rtm-Toast-title", toast.title));
    const text = element(toast.link ? "a" : "span", "rtm-Toast-text", toast.text);
    if (toast.link) text.setAttribute("href", toast.link);
    const counter = element("span", "rtm-Toast-count", count > 1 ? `\u00d7 ${count}` : "");
    content.append(text, counter);
    const close = element("button", "rtm-Toast-close", "\u00d7");
    close.setAttribute("type", "button");
    close.setAttribute("aria-label", toast.closeLabel);
    box.append(content, close);
    const shown: Shown = { toast, element: box, counter, count };
    close.addEventListener("click", () => this.#remove(shown));
    for (const type of ["pointerenter", "focusin"]) {
      box.addEventListener(type, () => clearTimeout(shown.timer));
    }
    for (const type of ["pointerleave", "focusout"]) {
      box.addEventListener(type, () => this.#wait(shown));
    }
    this.#shown.push(shown);
    this.#place(toast.position).append(box);
    this.#wait(shown);
  }

  #wait(shown: Shown): void {
    clearTimeout(shown.timer);
    const { seconds } = shown.toast;
    if (seconds > 0) shown.timer = setTimeout(() => this.#remove(shown), seconds * 1_000);
  }

  #remove(shown: Shown): void {
    clearTimeout(shown.timer);
    shown.element.remove();
    this.#shown = this.#shown.filter((other) => other !== shown);
    this.#fill();
  }

  /** Made once and kept: only what is put into a live region that exists already is read out. */
  #place(position: Position): HTMLElement {
    let place = this.#places.get(position);
    if (!place) {
      place = element("div", `rtm-Toasts rtm-Toasts--${position}`);
      place.setAttribute("role", "status");
      document.body.append(place);
      this.#places.set(position, place);
    }
    return place;
  }
}

let toasts: Toasts | undefined;

export function showToast(toast: Toast): void {
  toasts ??= new Toasts();
  toasts.add(toast);
}

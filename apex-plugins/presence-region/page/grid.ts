/**
 * The live grid: rows of an Interactive Grid that somebody else edits are marked with who and since when,
 * the rows that this page edits are told to the others, and what the Listener has found of new, deleted
 * and kept rows is shown. A user can pause it.
 */
import { fill, type PresenceConfig, type Texts, timeText } from "./config.ts";
import { type Bar, makeBar } from "./grid-bar.ts";
import { OwnRows } from "./own-rows.ts";
import type { Person } from "./people.ts";

/** What the Listener tells of rows (its event Status). */
interface RowNews {
  readonly state?: string;
  readonly region?: string;
  readonly keys?: readonly string[];
  /** kept: who has changed them. rows: what has become of them. */
  readonly by?: string;
  readonly change?: "added" | "deleted";
  /** Whether the page shows the row. */
  readonly shown?: boolean;
}

const NEWS = "rtm_listener_status";
const HINT = "rtm-row-hint-";
/** What would begin to edit a cell. */
const EDIT_KEYS = new Set(["Enter", "F2"]);

/** Functions that the Listener's script adds to the page. */
interface ListenerRegions {
  holdRegion?(id: string, held: boolean): void;
  refreshRegion?(id: string): void;
}

interface Editor {
  readonly person: Person;
  readonly since: number;
}

export class LiveGrid {
  /** What the region shows of it. */
  readonly element = document.createElement("div");
  readonly #id: string;
  readonly #texts: Texts;
  readonly #readOnly: boolean;
  readonly #bar: Bar;
  readonly #hints = document.createElement("div");
  readonly #kept = new Map<string, string>();
  readonly #news = { added: new Set<string>(), deleted: new Set<string>() };
  readonly #own: OwnRows;
  /** Who edits a row, first of all, by key. */
  #editors: ReadonlyMap<string, Editor> = new Map();
  #paused = false;
  #state: "live" | "offline" = "offline";
  #scheduled = false;

  /** `edit` tells the others which rows are edited here. */
  constructor(
    id: string,
    { readOnly }: Pick<PresenceConfig, "readOnly">,
    texts: Texts,
    edit: (keys: readonly string[]) => Promise<void>,
  ) {
    this.#id = id;
    this.#texts = texts;
    this.#readOnly = readOnly;
    this.#bar = makeBar(texts, {
      toggle: () => this.#toggle(),
      fetch: () => this.#fetch(),
    });
    this.#hints.className = "rtm-Presence-words";
    this.#hints.setAttribute("aria-hidden", "true");
    this.element.append(this.#bar.element, this.#hints);
    this.#own = new OwnRows(id, edit, (refreshed) => {
      if (refreshed) {
        // Whatever there is to be seen was fetched, on whatever page of the report it stands.
        this.#news.added.clear();
        this.#news.deleted.clear();
      }
      this.#paintSoon();
    });
    const element = this.#grid;
    if (!element) {
      apex.debug.error("rtm: the page has no grid with the HTML DOM ID", id);
      return;
    }
    new MutationObserver(() => this.#paintSoon()).observe(element, {
      childList: true,
      subtree: true,
    });
    for (const type of ["dblclick", "keydown"]) {
      element.addEventListener(type, (event) => this.#refuse(event), { capture: true });
    }
    apex.gPageContext$.on(NEWS, (_event, data) => this.#take(data as RowNews));
  }

  get #grid(): HTMLElement | undefined {
    return document.getElementById(this.#id) ?? undefined;
  }

  get #listener(): ListenerRegions {
    return (globalThis.rtm ?? {}) as ListenerRegions;
  }

  show(others: readonly Person[]): void {
    const editors = new Map<string, Editor>();
    for (const person of others) {
      for (const [key, since] of person.rows) {
        const first = editors.get(key);
        if (!first || since < first.since) editors.set(key, { person, since });
      }
    }
    this.#editors = editors;
    this.#paintSoon();
  }

  connection(state: "live" | "offline"): void {
    this.#state = state;
    if (state === "live") this.#own.tellAgain();
    this.#showBar();
  }

  #toggle(): void {
    this.#paused = !this.#paused;
    this.#listener.holdRegion?.(this.#id, this.#paused);
    this.#showBar();
  }

  #fetch(): void {
    // What is there then is no news any more.
    this.#listener.refreshRegion?.(this.#id);
  }

  #take({ state, region, keys = [], by = "", change, shown }: RowNews): void {
    if (region !== this.#id) return;
    const { added, deleted } = this.#news;
    for (const key of keys) {
      if (state === "kept") this.#kept.set(key, by);
      else if (state === "rows" && change === "added") added.add(key);
      // A row that came and went in between is no news, nor is one that was not to be seen.
      else if (state === "rows" && !added.delete(key) && shown) deleted.add(key);
    }
    this.#paintSoon();
  }

  #showBar(): void {
    const { added, deleted } = this.#news;
    const state = this.#state === "offline" ? "offline" : this.#paused ? "paused" : "live";
    this.#bar.show(state, this.#paused, added.size, deleted.size);
  }

  #paintSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#paint();
    });
  }

  #textOf(key: string): { readonly text: string; readonly kind: "edited" | "kept" } | undefined {
    const { rowEdits, kept, somebody } = this.#texts;
    const editor = this.#editors.get(key);
    if (editor) {
      const { person, since } = editor;
      return { text: fill(rowEdits, { name: person.name, time: timeText(since) }), kind: "edited" };
    }
    const by = this.#kept.get(key);
    if (by === undefined || !this.#own.has(key)) return undefined;
    return { text: fill(kept, { name: by || somebody }), kind: "kept" };
  }

  #paint(): void {
    const hints: HTMLElement[] = [];
    for (const row of this.#grid?.querySelectorAll<HTMLElement>("tr[data-id]") ?? []) {
      const key = row.dataset.id!;
      const mark = this.#textOf(key);
      row.classList.toggle("rtm-Row--edited", mark?.kind === "edited");
      row.classList.toggle("rtm-Row--kept", mark?.kind === "kept");
      if (mark) {
        const hint = document.createElement("span");
        hint.id = `${HINT}${this.#id}-${hints.length}`;
        hint.textContent = mark.text;
        hints.push(hint);
        row.title = mark.text;
        row.setAttribute("aria-describedby", hint.id);
      } else if (row.getAttribute("aria-describedby")?.startsWith(HINT)) {
        row.removeAttribute("title");
        row.removeAttribute("aria-describedby");
      }
    }
    for (const key of this.#kept.keys()) if (!this.#own.has(key)) this.#kept.delete(key);
    const { added, deleted } = this.#news;
    for (const key of added) if (this.#own.knows(key)) added.delete(key);
    for (const key of deleted) if (!this.#own.knows(key)) deleted.delete(key);
    this.#showBar();
    this.#hints.replaceChildren(...hints);
    if (this.#readOnly) {
      this.#own.forbid([...this.#editors.keys()].filter((key) => !this.#own.has(key)));
    }
  }

  /** A row that somebody else edits is not begun here. */
  #refuse(event: Event): void {
    if (!this.#readOnly) return;
    if (event instanceof KeyboardEvent && !EDIT_KEYS.has(event.key)) return;
    const row = (event.target as Element).closest<HTMLElement>("tr[data-id]");
    const key = row?.dataset.id;
    if (key === undefined || this.#own.has(key) || !this.#editors.has(key)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

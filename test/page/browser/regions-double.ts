/**
 * Doubles of APEX's regions, one per way in which regions tell that a refresh is done (docs/apex.md,
 * "Which region does what"). They refuse what APEX refuses: a failed refresh tells nothing, a grid
 * with unsaved edits asks in a modal whose OK throws the edits away, a model without an identity
 * fetches no records, and a region that is not on the page is null.
 */
import { ModelDouble } from "./model-double.ts";

export type RegionKind =
  /** Classic and interactive report, chart, calendar, dynamic content: `apexafterrefresh`. */
  | "report"
  /** Cards and template components from 24.1 on: a promise and `tablemodelviewpagechange`. */
  | "cards"
  /** The same before 24.1: the event alone. */
  | "cards-before-24.1"
  /** Interactive Grid: `gridpagechange`, no promise. */
  | "grid"
  /** An Interactive Grid whose grid view was never shown has no model yet. */
  | "unseen-grid"
  /** Regions without any sign. */
  | "silent"
  /** A region plug-in that returns a promise, which is rejected when the refresh fails. */
  | "plugin"
  /** A region plug-in whose refresh throws. */
  | "broken";

/** The part of jQuery that is used here. */
export interface Elements {
  readonly length: number;
  readonly [index: number]: HTMLElement;
  html(html: string): Elements;
  find(selector: string): Elements;
  trigger(event: string, data?: object): Elements;
}

interface Page {
  readonly $: (what: unknown) => Elements;
  note(kind: string, value: unknown): void;
}

const WIDGET_EVENT: Partial<Record<RegionKind, string>> = {
  cards: "tablemodelviewpagechange",
  "cards-before-24.1": "tablemodelviewpagechange",
  grid: "gridpagechange",
  "unseen-grid": "gridpagechange",
};

export class RegionDouble {
  readonly type: string;
  readonly element: Elements;
  readonly model: ModelDouble | undefined;
  readonly #id: string;
  readonly #kind: RegionKind;
  readonly #page: Page;

  constructor(id: string, element: Elements, page: Page) {
    this.#id = id;
    this.#page = page;
    this.element = element;
    const { kind = "report", keys } = element[0]?.dataset ?? {};
    this.#kind = kind as RegionKind;
    this.type = kind.endsWith("grid") ? "InteractiveGrid" : kind.startsWith("cards") ? "Cards" : "";
    if (kind === "grid" || kind.startsWith("cards")) {
      this.model = new ModelDouble(id, keys?.split(",").filter(Boolean), page.note);
    }
    if (kind === "grid") {
      // What the user sees of a save: the widget's event, after the model's own notification.
      this.model?.subscribe({
        onChange: (type: string) => {
          if (type === "clearChanges") this.#widget().trigger("interactivegridsave", {});
        },
      });
    }
  }

  /** Regions with a widget answer `call`; the others do not have it. */
  get call(): ((method: string) => unknown) | undefined {
    if (!this.#kind.endsWith("grid")) return undefined;
    return (method) => {
      if (method !== "getViews") throw new Error(`no method ${method}`);
      return { grid: { model: this.model ?? null } };
    };
  }

  /** Cards and template components from 24.1 on. */
  get getModel(): (() => unknown) | undefined {
    return this.#kind === "cards" ? () => this.model : undefined;
  }

  refresh(keepPagination?: boolean): unknown {
    const { note } = this.#page;
    if (this.#kind === "broken") throw new Error("this plug-in cannot refresh");
    if (this.#kind.endsWith("grid") && this.model?.isChanged()) {
      // A modal confirm; the user in a hurry presses OK.
      note("modals", this.#id);
      this.model.discard();
    }
    note("refreshes", this.#id);
    note("pagination", `${this.#id} ${keepPagination === true ? "kept" : "first page"}`);
    this.element.trigger("apexbeforerefresh");
    const loaded = this.#load();
    const silently = loaded.catch(() => {});
    switch (this.#kind) {
      case "cards":
        // Resolved by the model's notification: a failure leaves it open for ever.
        return new Promise<void>((resolve) => void loaded.then(resolve, () => {}));
      case "plugin":
        return loaded;
      default:
        void silently;
        return undefined;
    }
  }

  async #load(): Promise<void> {
    const response = await fetch(`/region?id=${encodeURIComponent(this.#id)}`);
    if (!response.ok) throw new Error(`region ${this.#id}: ${response.status}`);
    const html = await response.text();
    const event = WIDGET_EVENT[this.#kind];
    if (event) {
      this.#widget().html(html);
      const rows = this.element[0]?.querySelectorAll<HTMLElement>("tr[data-id]") ?? [];
      const ids = [...rows].map(({ dataset }) => dataset.id ?? "");
      this.model?.reload(ids.length > 0 ? ids : undefined);
      this.#widget().trigger(event, { offset: 0, count: 1 });
    } else {
      // Sub regions stay: APEX replaces what the region itself shows.
      if (this.element.find(".js-apex-region").length === 0) this.element.html(html);
      if (this.#kind === "report") this.element.trigger("apexafterrefresh");
    }
    this.#page.note("loaded", this.#id);
  }

  /** Widget events are triggered on an element inside the region, and bubble. */
  #widget(): Elements {
    if (this.element.find(".widget").length === 0) this.element.html('<div class="widget"></div>');
    return this.element.find(".widget");
  }
}

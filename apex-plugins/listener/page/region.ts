/** One region of the page: one refresh at a time, known to be done by the region's own signs. */
import type { Tell } from "./status.ts";

/**
 * What tells that a refresh is done: reports and charts fire the first; cards, template components
 * and other regions with a model the second; the Interactive Grid the third. Some return a promise
 * beside it or instead. A refresh that fails gives no sign in most of them.
 */
const SIGNS = "apexafterrefresh tablemodelviewpagechange gridpagechange";
/** What may have ended the unsaved edits of a grid. */
const EDIT_SIGNS = "interactivegridsave apexendrecordedit";
/** A refresh without a sign is taken for done after this time, ms. */
const DONE_MS = 3_000;
/** From so many keys on the whole region is refreshed. */
const MOST_KEYS = 50;

/** A primary key as the model takes it: one value, or the values of a composite key. */
export type Key = string | readonly string[];

function modelOf(region: ApexRegion): ApexModel | undefined {
  const model = region.getModel?.() ?? region.call?.("getViews")?.grid?.model;
  return model ?? undefined;
}

/** True when the event is of this region and not of one inside it. */
function isOwn(target: Element, element: Element | undefined): boolean {
  const nearest = target.closest(".js-apex-region");
  return !nearest || nearest === element || !element?.contains(nearest);
}

export class Region {
  readonly #id: string;
  readonly #keepPagination: boolean;
  readonly #tell: Tell;
  #running = false;
  #whole = false;
  #keys = new Map<string, Key>();
  #editing = false;
  #pending: (() => void) | undefined;

  constructor(id: string, keepPagination: boolean, tell: Tell) {
    this.#id = id;
    this.#keepPagination = keepPagination;
    this.#tell = tell;
    const element = apex.region(id)?.element;
    element?.on("apexbeginrecordedit", () => {
      this.#editing = true;
    });
    element?.on("apexendrecordedit", () => {
      this.#editing = false;
    });
  }

  /** All of it. */
  refresh(): void {
    this.#whole = true;
    this.#next();
  }

  /** The rows with these primary keys; all of it when the region cannot refresh single rows. */
  refreshRows(keys: readonly Key[]): void {
    for (const key of keys) this.#keys.set(JSON.stringify(key), key);
    if (this.#keys.size > MOST_KEYS) this.#whole = true;
    this.#next();
  }

  #next(): void {
    if (this.#running || (!this.#whole && this.#keys.size === 0)) return;
    const region = apex.region(this.#id);
    if (!region) {
      this.#whole = false;
      this.#keys.clear();
      apex.debug.error("rtm: the page has no region with the HTML DOM ID", this.#id);
      this.#tell({ state: "missing", region: this.#id });
      return;
    }
    const model = modelOf(region);
    if (!this.#whole && !(model && this.#fetch(region, model))) this.#whole = true;
    if (!this.#whole) return;
    if (this.#editing || model?.isChanged()) {
      // A grid would ask in a modal, and OK would throw the edits away.
      this.#wait(region, model);
      return;
    }
    this.#whole = false;
    this.#keys.clear();
    this.#run(region, () => region.refresh(this.#keepPagination));
  }

  /** Fetches the rows that have no edits; false when that is not possible. */
  #fetch(region: ApexRegion, model: ApexModel): boolean {
    const records: unknown[] = [];
    const edited = new Map<string, Key>();
    for (const [text, key] of this.#keys) {
      const record = model.getRecord(key);
      // New to this page, or beyond what it has loaded: only a refresh can tell.
      if (!record) return false;
      const metadata = model.getRecordMetadata(model.getRecordId(record));
      if (metadata?.updated || metadata?.inserted || metadata?.deleted) edited.set(text, key);
      else records.push(record);
    }
    if (records.length > 0) {
      let fetched: PromiseLike<unknown> | null = null;
      try {
        fetched = model.fetchRecords(records);
      } catch {
        // No primary key.
        return false;
      }
      this.#keys = edited;
      if (fetched) this.#run(region, () => fetched);
    }
    if (edited.size > 0) this.#wait(region, model);
    return true;
  }

  /** Until the edits are saved or taken back. */
  #wait(region: ApexRegion, model: ApexModel | undefined): void {
    if (this.#pending) return;
    this.#tell({ state: "pending", region: this.#id });
    const look = () => {
      // After those who are told of the save too.
      setTimeout(() => {
        if (!this.#pending || this.#editing || model?.isChanged()) return;
        this.#pending();
        this.#pending = undefined;
        this.#next();
      });
    };
    region.element.on(EDIT_SIGNS, look);
    const observer = model?.subscribe({ onChange: look });
    this.#pending = () => {
      region.element.off(EDIT_SIGNS, look);
      if (observer !== undefined) model?.unSubscribe(observer);
    };
  }

  /** Runs `task`, and what is asked for meanwhile once it is done. */
  #run(region: ApexRegion, task: () => unknown): void {
    this.#running = true;
    const { element } = region;
    const done = () => {
      clearTimeout(timer);
      element.off(SIGNS, sign);
      if (!this.#running) return;
      this.#running = false;
      this.#next();
    };
    const sign: ApexHandler = ({ target }) => {
      if (isOwn(target, element[0])) done();
    };
    const failed = (error: unknown) => {
      apex.debug.warn("rtm: the region was not refreshed:", this.#id, error);
      done();
    };
    const timer = setTimeout(() => {
      apex.debug.info("rtm: the region did not tell that it is refreshed:", this.#id);
      done();
    }, DONE_MS);
    element.on(SIGNS, sign);
    try {
      const result = task() as PromiseLike<unknown> | undefined;
      if (typeof result?.then === "function") result.then(done, failed);
    } catch (error) {
      failed(error);
    }
  }
}

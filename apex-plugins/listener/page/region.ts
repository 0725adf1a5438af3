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

/** What has become of a row, where that is said. */
export type RowKind = "added" | "changed" | "deleted" | undefined;

/** A primary key as the model takes it: one value, or the values of a composite key. */
export type Key = string | readonly string[];

function modelOf(region: ApexRegion): ApexModel | undefined {
  const model = region.getModel?.() ?? region.call?.("getViews")?.grid?.model;
  return model ?? undefined;
}

/** The id that a model gives to a record with that key. */
const idOf = (key: Key) => (typeof key === "string" ? key : JSON.stringify(key));

/** True when the event is of this region and not of one inside it. */
function isOwn(target: Element, element: Element | undefined): boolean {
  const nearest = target.closest(".js-apex-region");
  return !nearest || nearest === element || !element?.contains(nearest);
}

/** One row that has changed. */
export interface Row {
  readonly key: Key;
  /** By whom; empty: that is not said. */
  readonly by: string;
  readonly kind: RowKind;
}

export interface RegionOptions {
  readonly keepPagination: boolean;
  /** New and deleted rows are told, and fetched only when somebody asks for them. */
  readonly tellRows: boolean;
}

/** Regions that are held, by id. */
const held = new Set<string>();
/** All regions of the page's listeners. */
const all: Region[] = [];

/** Nothing of the region is refreshed while it is held; what was asked for meanwhile follows. */
export function holdRegion(id: string, hold: boolean): void {
  if (hold) held.add(id);
  else held.delete(id);
  for (const region of all) region.look();
}

/** Refreshes a region that listeners refresh, with the same care for unsaved edits. */
export function refreshRegion(id: string): void {
  const region = all.find((each) => each.id === id);
  if (region) region.refresh();
  else apex.region(id)?.refresh();
}

export class Region {
  readonly id: string;
  readonly #options: RegionOptions;
  readonly #tell: Tell;
  #running = false;
  #whole = false;
  #rows = new Map<string, Row>();
  /** The record being edited; it need not be changed yet. */
  #editing: string | undefined;
  #pending: (() => void) | undefined;

  constructor(id: string, options: RegionOptions, tell: Tell) {
    this.id = id;
    this.#options = options;
    this.#tell = tell;
    all.push(this);
    const element = apex.region(id)?.element;
    element?.on("apexbeginrecordedit", (_event, data) => {
      this.#editing = String((data as { recordId?: unknown } | undefined)?.recordId ?? "");
    });
    element?.on("apexendrecordedit", () => {
      this.#editing = undefined;
    });
  }

  /** Goes on with what was asked for, when nothing hinders it any more. */
  look(): void {
    this.#next();
  }

  /** All of it. */
  refresh(): void {
    this.#whole = true;
    this.#next();
  }

  /** These rows; all of it when the region cannot refresh single rows. */
  refreshRows(rows: Iterable<Row>): void {
    for (const row of rows) {
      if (this.#whole) break;
      const text = JSON.stringify(row.key);
      const before = this.#rows.get(text);
      // A new row that was changed is a new row.
      const isNew = before?.kind === "added" && row.kind === "changed";
      this.#rows.set(text, isNew ? { ...row, kind: "added" } : row);
      if (this.#rows.size > MOST_KEYS) this.#whole = true;
    }
    this.#next();
  }

  #next(): void {
    if (this.#running || held.has(this.id)) return;
    if (!this.#whole && this.#rows.size === 0) return;
    const region = apex.region(this.id);
    if (!region) {
      this.#whole = false;
      this.#rows.clear();
      apex.debug.error("rtm: the page has no region with the HTML DOM ID", this.id);
      this.#tell({ state: "missing", region: this.id });
      return;
    }
    const model = modelOf(region);
    if (!this.#whole && !(model && this.#fetch(region, model))) this.#whole = true;
    if (!this.#whole) return;
    if (this.#editing !== undefined || model?.isChanged()) {
      // A grid would ask in a modal, and OK would throw the edits away.
      this.#wait(region, model);
      return;
    }
    this.#whole = false;
    this.#rows.clear();
    this.#run(region, () => region.refresh(this.#options.keepPagination));
  }

  /** Fetches the rows that have no edits; false when that is not possible. */
  #fetch(region: ApexRegion, model: ApexModel): boolean {
    const { tellRows } = this.#options;
    const records: unknown[] = [];
    const edited = new Map<string, Row>();
    const news: { readonly row: Row; readonly id: string; readonly shown: boolean }[] = [];
    const kept: { readonly id: string; readonly by: string }[] = [];
    for (const [text, row] of this.#rows) {
      const record = model.getRecord(row.key);
      if (!record || row.kind === "deleted") {
        // New to this page, gone, or beyond what it has loaded: only a refresh can tell.
        if (!tellRows) return false;
        const id = record ? model.getRecordId(record) : idOf(row.key);
        if (record || row.kind !== "changed") news.push({ row, id, shown: record !== null });
        continue;
      }
      const id = model.getRecordId(record);
      if (this.#isEdited(model, id)) {
        edited.set(text, row);
        kept.push({ id, by: row.by });
      } else records.push(record);
    }
    if (records.length > 0) {
      let fetched: PromiseLike<unknown> | null = null;
      try {
        fetched = model.fetchRecords(records);
      } catch {
        // No primary key.
        return false;
      }
      if (fetched) this.#run(region, () => fetched);
    }
    this.#rows = edited;
    for (const { row, id, shown } of news) {
      const change = row.kind === "deleted" ? "deleted" : "added";
      this.#tell({ state: "rows", region: this.id, keys: [id], change, shown });
    }
    for (const { id, by } of kept) {
      this.#tell({ state: "kept", region: this.id, keys: [id], by });
    }
    if (edited.size > 0) this.#wait(region, model);
    return true;
  }

  #isEdited(model: ApexModel, id: string): boolean {
    const metadata = model.getRecordMetadata(id);
    if (metadata?.updated || metadata?.inserted || metadata?.deleted) return true;
    return this.#editing === id;
  }

  /** Until the edits are saved or taken back. */
  #wait(region: ApexRegion, model: ApexModel | undefined): void {
    if (this.#pending) return;
    this.#tell({ state: "pending", region: this.id });
    const look = () => {
      // After those who are told of the save too.
      setTimeout(() => {
        if (!this.#pending || this.#editing !== undefined || model?.isChanged()) return;
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
      apex.debug.warn("rtm: the region was not refreshed:", this.id, error);
      done();
    };
    const timer = setTimeout(() => {
      apex.debug.info("rtm: the region did not tell that it is refreshed:", this.id);
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

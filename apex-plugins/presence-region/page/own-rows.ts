/** Which rows of the grid this page edits: the one being edited, and those with unsaved changes. */

/** Changes within so long are told at once, ms. */
const QUIET_MS = 300;
/** Of two tokens of one second nobody could say which is the newer one, ms. */
const BETWEEN_MS = 1_100;

const FORBIDDEN = { update: false, delete: false };

export class OwnRows {
  readonly #id: string;
  readonly #edit: (keys: readonly string[]) => Promise<void>;
  readonly #changed: (refreshed: boolean) => void;
  /** Rows that cannot be edited now, and what the server allows. */
  readonly #forbidden = new Map<string, unknown>();
  #model: ApexModel | undefined;
  #editing: string | undefined;
  #keys = new Set<string>();
  #told = "[]";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextAt = 0;

  /** `changed` is told whether all rows were fetched anew. */
  constructor(
    id: string,
    edit: (keys: readonly string[]) => Promise<void>,
    changed: (refreshed: boolean) => void,
  ) {
    this.#id = id;
    this.#edit = edit;
    this.#changed = changed;
    const element = apex.region(id)?.element;
    element?.on("apexbeginrecordedit", (_event, data) => {
      const { recordId } = (data ?? {}) as { readonly recordId?: unknown };
      this.#editing = recordId === undefined ? undefined : String(recordId);
      this.#look();
    });
    element?.on("apexendrecordedit", () => {
      this.#editing = undefined;
      this.#look();
    });
    // Views are made when they are shown first, and anew when the report changes.
    element?.on("interactivegridviewmodelcreate gridpagechange", () => this.#attach());
    this.#attach();
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Whether the page has the row. */
  knows(key: string): boolean {
    return Boolean(this.#model?.getRecord(key));
  }

  /** The relay, or the server, has begun anew. */
  tellAgain(): void {
    // Where rows were told it may be that none is edited any more.
    if (this.#told !== "[]") this.#told = "";
    this.#tellSoon();
  }

  /** These rows cannot be edited in this page until they are not named any more. */
  forbid(keys: readonly string[]): void {
    for (const key of keys) {
      const metadata = this.#model?.getRecordMetadata(key);
      if (!metadata || metadata.allowedOperations === FORBIDDEN) continue;
      this.#forbidden.set(key, metadata.allowedOperations);
      metadata.allowedOperations = FORBIDDEN;
    }
    for (const [key, allowed] of this.#forbidden) {
      if (keys.includes(key)) continue;
      const metadata = this.#model?.getRecordMetadata(key);
      if (metadata?.allowedOperations === FORBIDDEN) metadata.allowedOperations = allowed;
      this.#forbidden.delete(key);
    }
  }

  #attach(): void {
    const model = apex.region(this.#id)?.call?.("getViews")?.grid?.model ?? undefined;
    if (model === this.#model) return;
    this.#model = model;
    model?.subscribe({ onChange: (type) => this.#look(type === "refresh") });
    this.#look();
  }

  #look(refreshed = false): void {
    const keys = new Set<string>();
    if (this.#editing !== undefined) keys.add(this.#editing);
    const model = this.#model;
    for (const { record, inserted } of model?.getChanges?.() ?? []) {
      // A row that is not saved yet is nobody else's.
      if (record && !inserted) keys.add(model!.getRecordId(record));
    }
    this.#keys = keys;
    this.#changed(refreshed);
    this.#tellSoon();
  }

  #tellSoon(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(QUIET_MS, this.#nextAt - performance.now());
    this.#timer = setTimeout(() => {
      const keys = [...this.#keys].sort();
      const text = JSON.stringify(keys);
      if (text === this.#told) {
        this.#timer = undefined;
        return;
      }
      this.#told = text;
      this.#nextAt = performance.now() + BETWEEN_MS;
      void this.#edit(keys).finally(() => {
        this.#timer = undefined;
        this.#tellSoon();
      });
    }, wait);
  }
}

/** A double of an `apex.model` as grids and cards hold it (documented interface `model`). */

type Observer = { readonly onChange: (type: string, change: object) => void };
type Note = (kind: string, value: unknown) => void;
type Row = readonly [id: string, value: string];

interface Metadata {
  updated?: boolean;
  inserted?: boolean;
  allowedOperations?: { readonly update?: boolean };
}

export class ModelDouble {
  readonly #id: string;
  readonly #note: Note;
  readonly #hasIdentity: boolean;
  readonly #observers = new Map<string, Observer>();
  #rows = new Map<string, { row: Row; metadata: Metadata }>();
  #keys: readonly string[];

  /** Without keys the model has no identity field. */
  constructor(id: string, keys: readonly string[] | undefined, note: Note) {
    this.#id = id;
    this.#note = note;
    this.#hasIdentity = keys !== undefined;
    this.#keys = keys ?? ["t1", "t2"];
    this.reload();
  }

  isChanged(): boolean {
    return [...this.#rows.values()].some(({ metadata: m }) => m.updated || m.inserted);
  }

  getRecord(key: string | readonly string[]): Row | null {
    return this.#rows.get(String(key))?.row ?? null;
  }

  getRecordId(row: Row): string {
    return row[0];
  }

  getRecordMetadata(id: string): Metadata | null {
    return this.#rows.get(id)?.metadata ?? null;
  }

  /** Null when nothing is left to fetch; inserted rows are skipped. */
  fetchRecords(rows: readonly Row[]): Promise<void> | null {
    if (!this.#hasIdentity) throw new Error("fetchRecords requires identityField");
    const ids = rows.map(([id]) => id).filter((id) => !this.#rows.get(id)?.metadata.inserted);
    if (ids.length === 0) return null;
    this.#note("fetched", `${this.#id} ${ids.join(",")}`);
    return fetch(`/region?id=${this.#id}`).then(() => {
      for (const id of ids) this.#rows.set(id, { row: [id, "new"], metadata: {} });
      this.#tell("refreshRecords", { recordIds: ids });
    });
  }

  getChanges(): { record: Row; updated?: boolean; inserted?: boolean }[] {
    return [...this.#rows.values()]
      .filter(({ metadata: m }) => m.updated || m.inserted)
      .map(({ row, metadata }) => ({ record: row, ...metadata }));
  }

  forEach(visit: (row: Row, index: number, id: string) => void): void {
    [...this.#rows.values()].forEach(({ row }, index) => {
      visit(row, index, row[0]);
    });
  }

  subscribe(observer: Observer): string {
    const id = `view${this.#observers.size + 1}`;
    this.#observers.set(id, observer);
    return id;
  }

  unSubscribe(id: string): void {
    this.#observers.delete(id);
  }

  get observers(): number {
    return this.#observers.size;
  }

  // What a user does.

  edit(id: string): void {
    const { row, metadata } = this.#rows.get(id)!;
    this.#rows.set(id, { row: [row[0], "mine"], metadata: { ...metadata, updated: true } });
    this.#tell("set", {});
  }

  value(id: string): string | undefined {
    return this.#rows.get(id)?.row[1];
  }

  save(): void {
    for (const entry of this.#rows.values()) entry.metadata = {};
    this.#tell("clearChanges", {});
  }

  // What the region does.

  discard(): void {
    this.#note("discarded", this.#id);
    this.reload();
  }

  /** What the query gives now; without `keys` the same rows as before. */
  reload(keys = this.#keys): void {
    this.#keys = keys;
    this.#rows = new Map(this.#keys.map((id) => [id, { row: [id, "old"], metadata: {} }]));
    this.#tell("refresh", {});
  }

  #tell(type: string, change: object): void {
    for (const { onChange } of [...this.#observers.values()]) onChange(type, change);
  }
}

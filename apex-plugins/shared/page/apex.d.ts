/**
 * The part of Oracle APEX's JavaScript API that the plug-ins use, typed from its public reference
 * (docs/apex.md, "What the plug-ins rely on"). Nothing else of APEX is touched.
 */

interface ApexItem {
  /** False when the page has no such item; then setValue does nothing. */
  readonly node: HTMLElement | false;
  readonly escape?: boolean;
  isChanged?(): boolean;
  /** Where items have separators of their own. */
  getSeparator?(): string | undefined;
  getValue(): string | string[] | null;
  setValue(value: string | string[], displayValue?: unknown, suppressChangeEvent?: boolean): void;
}

/** An `apex.model`, as far as it is documented for grids, cards and template components. */
interface ApexModel {
  isChanged(): boolean;
  getRecord(key: string | readonly string[]): unknown;
  getRecordId(record: unknown): string;
  getRecordMetadata(id: string): {
    readonly updated?: boolean;
    readonly inserted?: boolean;
    readonly deleted?: boolean;
    /** What may be done with the record; absent: what the model allows. */
    allowedOperations?: unknown;
  } | null;
  /** Records that were changed and are not saved. */
  getChanges?(): readonly { readonly record?: unknown; readonly inserted?: boolean }[];
  forEach?(visit: (record: unknown, index: number, id: string) => void): void;
  /** Throws without an identity field; null when nothing is left to fetch. */
  fetchRecords(records: readonly unknown[]): PromiseLike<unknown> | null;
  subscribe(observer: { onChange(type: string): void }): string;
  unSubscribe(id: string): void;
}

type ApexHandler = (event: { readonly target: Element }, data?: unknown) => void;

interface ApexRegion {
  readonly type?: string;
  readonly element: {
    readonly [index: number]: HTMLElement;
    on(events: string, handler: ApexHandler): void;
    off(events: string, handler: ApexHandler): void;
  };
  /** Regions without pagination take no notice of the argument. */
  refresh(keepPagination?: boolean): unknown;
  /** Regions with a widget. `getViews` is the Interactive Grid's. */
  call?(method: "getViews"): { readonly grid?: { readonly model: ApexModel | null } } | undefined;
  /** Cards and template components, 24.1 and later. */
  getModel?(): ApexModel | null | undefined;
}

interface ApexAjaxOptions {
  readonly dataType: "json";
  /** The region, as a selector: APEX then fires its events before and after a refresh. */
  readonly refreshObject?: string | undefined;
  success(data: unknown): void;
  error(
    jqXHR: { readonly status?: number; readonly responseText?: string },
    textStatus: string,
    errorThrown: unknown,
  ): void;
}

interface ApexElements {
  readonly length: number;
  toArray(): HTMLElement[];
}

/** `this` of a dynamic action's function: a new object for every firing. */
interface DynamicActionContext {
  readonly triggeringElement?: unknown;
  readonly affectedElements?: ApexElements | undefined;
  readonly browserEvent?: string | { readonly type: string; readonly target?: unknown };
  readonly data?: unknown;
  /** A function only with Wait for Result. */
  readonly resumeCallback?: unknown;
  readonly action: {
    readonly attribute01?: string;
    readonly ajaxIdentifier?: string | null;
  };
}

declare const apex: {
  readonly env: { readonly APP_ID?: string; readonly APP_SESSION?: string };
  readonly da: {
    resume(callback: unknown, errorOccurred: boolean): void;
    handleAjaxErrors(
      jqXHR: unknown,
      textStatus: string,
      errorThrown: unknown,
      resumeCallback: unknown,
    ): void;
  };
  readonly debug: Record<"error" | "warn" | "info" | "trace", (...values: unknown[]) => void>;
  readonly event: {
    trigger(target: HTMLElement | Document, event: string, data: object): boolean;
  };
  readonly gPageContext$: { on(event: string, handler: ApexHandler): void };
  readonly item: ((name: string) => ApexItem) & {
    /** Tells page items from other elements. */
    isItem?(name: string): boolean;
  };
  readonly region: ((id: string) => ApexRegion | null) & {
    /** Throws where no element has the id. */
    create?(id: string, implementation: { readonly type: string; refresh(): unknown }): void;
  };
  readonly message: {
    showErrors(errors: readonly object[]): void;
    clearErrors(): void;
  };
  readonly server: {
    plugin(ajaxIdentifier: string, data: object, options: ApexAjaxOptions): unknown;
  };
  readonly util: { escapeHTML(text: string): string };
};

/** What describes a plug-in to the exporter. The names are those of Page Designer. */

/** APEX releases whose export syntax can be written. The date is what an import compares. */
export const RELEASES = {
  "22.1": "2022.04.12",
  "23.2": "2023.10.31",
} as const;

export type Release = keyof typeof RELEASES;

export interface ListValue {
  readonly display: string;
  readonly value: string;
  readonly help: string;
}

export interface Condition {
  /** Attribute of the same scope. */
  readonly attribute: number;
  readonly is: "EQUALS" | "NOT_EQUALS" | "NULL" | "NOT_NULL" | "IN_LIST" | "NOT_IN_LIST";
  /** Value, or values separated by a comma; absent for NULL and NOT_NULL. */
  readonly value?: string;
}

export interface Attribute {
  /** 1-15, of a region 1-25: the number by which PL/SQL reads it. It never changes once published. */
  readonly number: number;
  /** COMPONENT by default: set per action. APPLICATION: set once in Component Settings. */
  readonly scope?: "COMPONENT" | "APPLICATION";
  readonly label: string;
  readonly type:
    | "TEXT"
    | "TEXTAREA"
    | "SELECT LIST"
    | "CHECKBOX"
    /** Several of `values`, joined by a colon. */
    | "CHECKBOXES"
    | "INTEGER"
    | "PAGE ITEM"
    | "PAGE ITEMS"
    | "SQL"
    | "PLSQL EXPRESSION";
  readonly help: string;
  readonly defaultValue?: string;
  readonly unit?: string;
  readonly examples?: string;
  /** True when translators of an application are to see it. Default false. */
  readonly translatable?: boolean;
  readonly maxLength?: number;
  readonly values?: readonly ListValue[];
  readonly shownWhen?: Condition;
}

export interface PluginFile {
  /** Name below #PLUGIN_FILES#, without the extension: `name.js` and `name.min.js` are shipped. */
  readonly name: string;
  /** Entry point, relative to the repository. */
  readonly entry: string;
  /** What the page's script fetches when it is needed, `#PLUGIN_FILES#js/…` too: name and entry point. */
  readonly later?: { readonly name: string; readonly entry: string };
  /** A stylesheet, relative to the repository: `name.css` and `name.min.css` are shipped too. */
  readonly style?: string;
}

export interface Manifest {
  readonly type: "DYNAMIC ACTION" | "PROCESS TYPE" | "REGION TYPE";
  /** Internal name: the one applications refer to. */
  readonly name: string;
  readonly displayName: string;
  /** Dynamic actions only. */
  readonly category?: "INIT" | "EXECUTE";
  readonly standardAttributes?: readonly string[];
  /** Processes only; by release, because 23.2 knows more. */
  readonly componentTypes?: Readonly<Partial<Record<Release, readonly string[]>>>;
  readonly releases: readonly Release[];
  /** PL/SQL files in the order of their dependencies, relative to the repository. */
  readonly plsql: readonly string[];
  readonly functions: {
    readonly render?: string;
    readonly ajax?: string;
    readonly execution?: string;
  };
  readonly attributes: readonly Attribute[];
  readonly events?: readonly { readonly name: string; readonly displayName: string }[];
  readonly file?: PluginFile;
  readonly help: string;
  /** Published as apexplugin.json beside the export. */
  readonly description: string;
  readonly keywords: readonly string[];
}

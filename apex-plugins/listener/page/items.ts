/** Puts untrusted values into page items. */
import { applying } from "../../shared/page/echo.ts";
import { itemText } from "../../shared/page/item-value.ts";
import { isRecord } from "../../shared/page/payload.ts";

/** The value as an item takes it; undefined when it is none (an object, a nested list). */
function itemValue(value: unknown): string | string[] | undefined {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return value;
  return undefined;
}

/**
 * Display-only items and rich text editors take what they are given as HTML: an item shown by
 * `<id>_DISPLAY`, or a node that is no plain form field. Those get the value escaped, unless the
 * item escapes by itself.
 */
function takesHtml(name: string, item: ApexItem, node: HTMLElement): boolean {
  if (item.escape === true) return false;
  if (document.getElementById(`${name}_DISPLAY`)) return true;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(node.tagName)) return false;
  return !node.tagName.includes("-") || /RICH-TEXT|MARKDOWN/.test(node.tagName);
}

/** The page item of that name; an element that is no item is none. */
function pageItem(name: string): (ApexItem & { readonly node: HTMLElement }) | undefined {
  if (apex.item.isItem && !apex.item.isItem(name)) return undefined;
  const item = apex.item(name);
  return item.node ? (item as ApexItem & { readonly node: HTMLElement }) : undefined;
}

export interface SetOptions {
  /** Whether the item's change event fires. */
  readonly fireChange: boolean;
  /** Whether an item that the user has not changed counts as unchanged afterwards too. */
  readonly unchanged: boolean;
}

/** What the browser compares with to know whether a field was changed, and with it APEX. */
function takeAsUnchanged(node: HTMLElement): void {
  if (node instanceof HTMLSelectElement) {
    for (const option of node.options) option.defaultSelected = option.selected;
  } else if (node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement) {
    node.defaultValue = node.value;
    if (node instanceof HTMLInputElement) node.defaultChecked = node.checked;
  }
}

/** Sets item `name` when the page has it. The change event fires only for a new value. */
function setItem(name: string, value: unknown, { fireChange, unchanged }: SetOptions): void {
  const item = pageItem(name);
  const wanted = itemValue(value);
  if (!item || wanted === undefined) {
    const reason = item ? "the value is neither text nor a list of texts" : "no such item";
    apex.debug.warn("rtm: item not set:", name, reason);
    return;
  }
  const present = item.getValue();
  const text = String(wanted);
  if (String(present ?? "") === text) return;
  const html = takesHtml(name, item, item.node);
  const safe = (value: string) => (html ? apex.util.escapeHTML(value) : value);
  const safeValue = Array.isArray(wanted) ? wanted.map(safe) : safe(wanted);
  const mine = !unchanged || item.isChanged?.() === true;
  applying(
    name,
    () => item.setValue(safeValue, null, !fireChange),
    () => itemText(item),
  );
  if (!mine) takeAsUnchanged(item.node);
}

/**
 * Sets what `payload` names: `{itemName, value}`, and with `members` also the members called like
 * an allowed item. `allowed` empty means any item.
 */
export function setItems(
  payload: unknown,
  allowed: readonly string[],
  members: boolean,
  how: SetOptions,
): void {
  if (!isRecord(payload)) return;
  const { itemName, value } = payload;
  if (typeof itemName === "string" && value !== undefined) {
    if (allowed.length === 0 || allowed.includes(itemName)) setItem(itemName, value, how);
    else apex.debug.warn("rtm: a message named an item that is not listed:", itemName);
  } else if (members) {
    const names = allowed.length > 0 ? allowed : Object.keys(payload).filter(pageItem);
    for (const name of names) {
      if (Object.hasOwn(payload, name)) setItem(name, payload[name], how);
    }
  }
}

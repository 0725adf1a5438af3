/**
 * The page's elements. Text only ever gets in as text, and what would turn its direction around is written
 * out: names of channels and events come from others.
 */
import { printable } from "../../../common/printable.ts";

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as T;
}

/** Sets the text when it is another one, so that screen readers are not told again. */
export function show(id: string, text: string): void {
  setText(element(id), text);
}

export function setText(target: Element, text: string): void {
  const shown = printable(text);
  if (target.textContent !== shown) target.textContent = shown;
}

/** Sets what is read out instead of the text. */
export function setLabel(target: Element, text: string): void {
  const said = printable(text);
  if (target.getAttribute("aria-label") !== said) target.setAttribute("aria-label", said);
}

export function hide(id: string, hidden: boolean): void {
  element(id).hidden = hidden;
}

/** A list of terms; terms that stay keep their elements. */
export function showList(id: string, entries: readonly (readonly [string, string])[]): void {
  const list = element(id);
  while (list.children.length > entries.length) list.lastElementChild?.remove();
  for (const [index, [term, text]] of entries.entries()) {
    let row = list.children[index];
    if (!row) {
      row = document.createElement("div");
      row.append(document.createElement("dt"), document.createElement("dd"));
      list.append(row);
    }
    setText(row.children[0] as Element, term);
    setText(row.children[1] as Element, text);
  }
}

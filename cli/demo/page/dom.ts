/** Elements of the page, and what it asks of its server. */

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as T;
}

/** Sets the text of an element; one that has it already is left alone. */
export function show(target: string | HTMLElement, text: string): void {
  const found = typeof target === "string" ? element(target) : target;
  if (found.textContent !== text) found.textContent = text;
}

/** A new element with a text; whatever the text looks like, it is text. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = "",
  text = "",
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** @throws {Error} the server refuses, or is not there */
export async function call<T>(path: string, method = "POST"): Promise<T> {
  const response = await fetch(path, { method });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

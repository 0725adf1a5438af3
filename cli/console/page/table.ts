/** A table that is filled again and again, and leaves alone what has not changed. */
import { setLabel, setText } from "./elements.ts";

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly isNumber?: boolean;
  /** A name of style.css, such as `bad`; empty for none. */
  readonly style?: (row: Row) => string;
  /** A button instead of text: its label for a viewer who does not see the row. */
  readonly button?: { readonly label: (row: Row) => string; readonly press: (row: Row) => void };
  /** Whether the text may be long and wraps. */
  readonly wraps?: boolean;
}

interface Line<Row> {
  readonly element: HTMLTableRowElement;
  row: Row;
}

export class Table<Row> {
  readonly #columns: readonly Column<Row>[];
  readonly #key: (row: Row) => string;
  readonly #body: HTMLTableSectionElement;
  readonly #nothing: HTMLTableRowElement;
  readonly #lines = new Map<string, Line<Row>>();

  /** @param nothing said while there are no rows */
  constructor(
    table: HTMLTableElement,
    columns: readonly Column<Row>[],
    key: (row: Row) => string,
    nothing: string,
  ) {
    this.#columns = columns;
    this.#key = key;
    const head = table.createTHead().insertRow();
    for (const { title, isNumber } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      if (isNumber) cell.className = "number";
      head.append(cell);
    }
    this.#body = table.createTBody();
    this.#nothing = document.createElement("tr");
    const cell = this.#nothing.insertCell();
    cell.colSpan = columns.length;
    cell.className = "nothing";
    cell.textContent = nothing;
    this.#body.append(this.#nothing);
    const around = table.parentElement as HTMLElement;
    // Who has no pointer must be able to scroll what is too wide.
    const look = () => {
      const scrolls =
        around.scrollWidth > around.clientWidth || around.scrollHeight > around.clientHeight;
      if (scrolls) around.tabIndex = 0;
      else around.removeAttribute("tabindex");
    };
    const observer = new ResizeObserver(look);
    observer.observe(around);
    observer.observe(table);
  }

  show(rows: readonly Row[]): void {
    const keys = new Set(rows.map(this.#key));
    for (const [key, { element }] of this.#lines) {
      if (keys.has(key)) continue;
      element.remove();
      this.#lines.delete(key);
    }
    this.#nothing.hidden = rows.length > 0;
    const focused = document.activeElement;
    for (const [index, row] of rows.entries()) {
      const { element } = this.#line(row);
      const place = this.#body.children[index];
      if (place !== element) this.#body.insertBefore(element, place ?? null);
    }
    // A row that was moved has lost it.
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus();
  }

  #line(row: Row): Line<Row> {
    const key = this.#key(row);
    const known = this.#lines.get(key);
    const line = known ?? { element: document.createElement("tr"), row };
    line.row = row;
    if (!known) {
      this.#lines.set(key, line);
      for (const column of this.#columns) this.#addCell(line, column);
    }
    for (const [index, column] of this.#columns.entries()) {
      const cell = line.element.cells[index] as HTMLTableCellElement;
      const style = [column.isNumber ? "number" : "", column.wraps ? "wraps" : ""];
      const name = [...style, column.style?.(row) ?? ""].filter(Boolean).join(" ");
      if (cell.className !== name) cell.className = name;
      const target = column.button ? (cell.firstElementChild as Element) : cell;
      setText(target, column.text(row));
      if (column.button) setLabel(target, column.button.label(row));
    }
    return line;
  }

  #addCell(line: Line<Row>, { button }: Column<Row>): void {
    const cell = line.element.insertCell();
    if (!button) return;
    const press = document.createElement("button");
    press.type = "button";
    press.className = "small";
    press.addEventListener("click", () => button.press(line.row));
    cell.append(press);
  }
}

/** The live tail of one channel. */
import { printable } from "../../../common/printable.ts";
import type { Hello, TailNews, TailRow } from "../contract.ts";
import { bytes, count } from "../format.ts";
import { element, show } from "./elements.ts";
import { Table } from "./table.ts";

const MOST_ROWS = 60;

export class LiveTail {
  readonly #input = element<HTMLInputElement>("tailChannel");
  readonly #stop = element<HTMLButtonElement>("tailStop");
  #table: Table<TailRow> | undefined;
  #rows: TailRow[] = [];
  #seen = 0;
  #missed = 0;
  #channel: string | undefined;
  #source: EventSource | undefined;

  constructor() {
    element("tail").addEventListener("submit", (event) => {
      event.preventDefault();
      this.follow(this.#input.value);
    });
    this.#stop.addEventListener("click", () => this.stop());
  }

  /** The columns depend on whether payloads are shown. */
  begin({ payloads }: Hello): void {
    this.#table ??= new Table<TailRow>(
      element<HTMLTableElement>("tailRows"),
      [
        { title: "Time", text: ({ at }) => new Date(at).toLocaleTimeString("en-GB") },
        { title: "Number", text: ({ seq }) => String(seq), isNumber: true },
        { title: "Event", text: ({ eventName }) => eventName, wraps: true },
        { title: "Size", text: (row) => bytes(row.bytes), isNumber: true },
        ...(payloads
          ? [{ title: "Payload", text: (row: TailRow) => row.payload ?? "", wraps: true }]
          : []),
      ],
      ({ seq, at }) => `${seq} ${at}`,
      "Follow a channel to see its messages as they come.",
    );
    this.#table.show(this.#rows);
    const names = "Names and sizes from the relay's history.";
    show(
      "tailNote",
      payloads
        ? `${names} Payloads are shown: service.console.payloads is on.`
        : `${names} Payloads are off: service.console.payloads.`,
    );
  }

  /** @param names of channels to choose from */
  offer(names: readonly string[]): void {
    const list = element("tailChannels");
    const known = [...list.children].map((option) => (option as HTMLOptionElement).value);
    if (known.join("\n") === names.join("\n")) return;
    list.replaceChildren(
      // The value is the name itself, and must stay it; what is read is the label.
      ...names.map((value) =>
        Object.assign(document.createElement("option"), { value, label: printable(value) }),
      ),
    );
  }

  follow(channel: string): void {
    this.#source?.close();
    this.#input.value = channel;
    this.#channel = channel;
    this.#rows = [];
    this.#seen = 0;
    this.#missed = 0;
    this.#table?.show([]);
    this.resume();
  }

  /** Opens the stream of the channel that is followed, if one is. */
  resume(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#source?.close();
    const source = new EventSource(`api/tail?channel=${encodeURIComponent(channel)}`);
    this.#source = source;
    this.#stop.disabled = false;
    show("tailState", `following ${channel}`);
    source.addEventListener("news", ({ data }) => this.#take(JSON.parse(data) as TailNews));
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) show("tailState", "the tail was refused");
    };
  }

  /** Closes the stream; the channel stays chosen. */
  pause(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  stop(): void {
    this.pause();
    if (this.#channel !== undefined) show("tailState", `stopped: ${this.#channel}`);
    this.#channel = undefined;
    this.#stop.disabled = true;
  }

  #take({ messages, missed }: TailNews): void {
    const known = new Set(this.#rows.map(({ seq, at }) => `${seq} ${at}`));
    const fresh = messages.filter(({ seq, at }) => !known.has(`${seq} ${at}`));
    this.#seen += fresh.length;
    this.#missed += missed;
    this.#rows = [...fresh.reverse(), ...this.#rows].slice(0, MOST_ROWS);
    this.#table?.show(this.#rows);
    const passed = this.#missed > 0 ? `, ${count(this.#missed)} more passed by` : "";
    show("tailState", `following ${this.#channel}: ${count(this.#seen)} shown${passed}`);
  }
}

/** Exception queue and poison, asked for by a button; putting back asks first. */
import type { Allowed, Aside, ExceptionRow, PoisonRow, Requeued } from "../contract.ts";
import { call } from "./api.ts";
import { element, hide, show } from "./elements.ts";
import { Table } from "./table.ts";

const time = (iso: string | null) =>
  iso === null || iso === ""
    ? "-"
    : new Date(iso).toLocaleString("en-GB", {
        day: "numeric",
        month: "short",
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
      });

export class AsidePanel {
  readonly #load = element<HTMLButtonElement>("asideLoad");
  readonly #confirm = element<HTMLDialogElement>("confirm");
  readonly #yes = element<HTMLButtonElement>("confirmYes");
  readonly #mayAct: () => boolean;
  readonly #onListeners: (text: string | null) => void;
  readonly #exceptions: Table<ExceptionRow>;
  readonly #poison: Table<PoisonRow>;
  #asked: ExceptionRow | undefined;

  /**
   * @param mayAct false: the viewer has to sign in first
   * @param onListeners told what the database says of all workers; null where it may not be read
   */
  constructor(mayAct: () => boolean, onListeners: (text: string | null) => void) {
    this.#mayAct = mayAct;
    this.#onListeners = onListeners;
    const button = {
      label: ({ messageId }: ExceptionRow) => `Put message ${messageId} back`,
      press: (row: ExceptionRow) => this.#ask(row),
    };
    this.#exceptions = new Table<ExceptionRow>(
      element<HTMLTableElement>("exceptions"),
      [
        { title: "Enqueued", text: ({ enqueued }) => time(enqueued) },
        {
          title: "Why",
          text: ({ attempts }) =>
            attempts === 0 ? "expired" : `given up after ${attempts} attempts`,
          wraps: true,
        },
        { title: "Channel", text: ({ channel }) => channel ?? "-", wraps: true },
        { title: "Event", text: ({ eventName }) => eventName ?? "-", wraps: true },
        { title: "Message", text: ({ messageId }) => messageId, style: () => "code", wraps: true },
        { title: "Action", text: () => "Put back", button },
      ],
      ({ messageId }) => messageId,
      "The exception queue is empty.",
    );
    this.#poison = new Table<PoisonRow>(
      element<HTMLTableElement>("poison"),
      [
        { title: "Time", text: ({ at }) => time(at) },
        { title: "Reason", text: ({ reason }) => reason, wraps: true },
        { title: "Channel", text: ({ channel }) => channel ?? "-", wraps: true },
        {
          title: "Message",
          text: ({ messageId }) => messageId ?? "-",
          style: () => "code",
          wraps: true,
        },
        { title: "Kept in", text: ({ where }) => where },
      ],
      (row) => `${row.where} ${row.messageId} ${row.at}`,
      "Nothing was set aside.",
    );
    this.#load.addEventListener("click", () => void this.load());
    element("confirmNo").addEventListener("click", () => this.#confirm.close());
    this.#yes.addEventListener("click", () => void this.#putBack());
  }

  async load(note = ""): Promise<void> {
    this.#load.disabled = true;
    show("asideState", "asking the database");
    try {
      const { exceptions, poison, listeners } = await call<Aside>("aside");
      hide("asideContent", false);
      this.#fill("exceptions", exceptions, this.#exceptions);
      this.#fill("poison", poison, this.#poison);
      this.#onListeners(listeners);
      show(
        "asideState",
        `${note}As of ${new Date().toLocaleTimeString("en-GB")}; at most 50 rows each.`,
      );
    } catch (error) {
      show("asideState", `The database was asked in vain: ${(error as Error).message}`);
    } finally {
      this.#load.disabled = false;
    }
  }

  #fill<Row>(id: string, found: Allowed<Row>, table: Table<Row>): void {
    hide(`${id}Refused`, found.may);
    element(id).hidden = !found.may;
    if (found.may) table.show(found.rows);
    else show(`${id}Refused`, `${found.why}. To see it here: ${found.fix}.`);
  }

  #ask(row: ExceptionRow): void {
    this.#asked = row;
    show(
      "confirmText",
      `Message ${row.messageId} of channel ${row.channel ?? "(unknown)"}, event ${row.eventName ?? "(unknown)"}, goes back into ${row.queue} with a new expiration and is delivered to every page that has the channel open. It may be old by now.`,
    );
    show(
      "confirmProblem",
      this.#mayAct() ? "" : "Sign in first: where a token is configured, acting needs it.",
    );
    this.#yes.disabled = !this.#mayAct();
    this.#confirm.showModal();
  }

  async #putBack(): Promise<void> {
    const row = this.#asked;
    if (!row) return;
    this.#yes.disabled = true;
    try {
      const { messageId } = await call<Requeued>("requeue", { messageId: row.messageId });
      this.#confirm.close();
      await this.load(`Put back as ${messageId}. `);
    } catch (error) {
      show("confirmProblem", (error as Error).message);
    } finally {
      this.#yes.disabled = false;
    }
  }
}

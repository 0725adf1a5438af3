/** Who is here: visitors by name, who of them is away, and a button that ends what one may do. */
import type { Member, RtmClient, RtmSubscription } from "../../../apex-plugins/client/index.ts";
import { call, element, make, show } from "./dom.ts";
import type { Visitor } from "./visitor.ts";
import { isWave, offerWaves, WAVE_MS } from "./wave.ts";

const FLOOR = "floor";
/** Those who look at their page. */
const LOOKING = `${FLOOR}~here`;

/** What its token shows of a visitor. */
function nameOf({ user, info }: Member): string {
  return typeof info?.name === "string" ? info.name : user;
}

const names = (members: readonly Member[]) => members.map(nameOf).join(", ");

export class People {
  readonly #client: RtmClient;
  readonly #visitor: Visitor;
  readonly #list = element<HTMLUListElement>("people");
  readonly #rows = new Map<string, HTMLLIElement>();
  #members: readonly Member[] = [];
  /** Who has waved a moment ago, and what ends it. */
  readonly #waving = new Map<string, ReturnType<typeof setTimeout>>();
  #count = 0;
  #me: string | undefined;
  /** Undefined: it is not known. */
  #looking: ReadonlySet<string> | undefined;
  #floor: RtmSubscription | undefined;
  #here: RtmSubscription | undefined;

  constructor(client: RtmClient, visitor: Visitor) {
    this.#client = client;
    this.#visitor = visitor;
    this.#join();
    this.#look();
    offerWaves(client, FLOOR, (error) => this.#tellOfWave(error));
    document.addEventListener("visibilitychange", () => this.#look());
    element("rename").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename(element<HTMLInputElement>("name").value).catch((error) =>
        show("people-news", String(error)),
      );
    });
    element("back").addEventListener("click", () => {
      visitor.forget();
      location.reload();
    });
  }

  /** Nothing arrives any more. */
  ended(): void {
    this.#members = [];
    this.#count = 0;
    this.#render();
    show("people-news", "");
    element("ended").hidden = false;
    element("rename").hidden = true;
    element("waving").hidden = true;
  }

  /** @param token with another name; absent: the one that the page has */
  #join(token?: string): void {
    const before = this.#floor;
    this.#floor = this.#client.subscribe(FLOOR, {
      from: "live",
      presence: { join: true, watch: true },
      token: token === undefined ? undefined : { initial: token, renew: this.#visitor.token },
      onMembers: (_channel, all, count, { joined, left, user }) => {
        const known = new Set(this.#members.map((member) => member.user));
        const came = joined.filter((member) => member.user !== user && !known.has(member.user));
        const gone = left.filter((member) => member.user !== user);
        if (known.size > 0 && came.length > 0) show("people-news", `${names(came)} came.`);
        else if (gone.length > 0) show("people-news", `${names(gone)} left.`);
        this.#members = all;
        this.#count = count;
        this.#me = user;
        this.#render();
      },
      onEvent: (event) => {
        const { user } = event.from;
        if (isWave(event) && user !== undefined) this.#showWave(user);
      },
    });
    // The new one first: nobody sees a visitor leave who only takes another name.
    before?.close();
  }

  #showWave(user: string): void {
    const member = this.#members.find((each) => each.user === user);
    const news = `${member ? nameOf(member) : "Somebody"} waves.`;
    clearTimeout(this.#waving.get(user));
    const over = () => {
      this.#waving.delete(user);
      if (element("people-news").textContent === news) show("people-news", "");
      this.#render();
    };
    this.#waving.set(user, setTimeout(over, WAVE_MS));
    show("people-news", news);
    this.#render();
  }

  #tellOfWave(error: unknown): void {
    const alone = this.#count < 2 ? " Nobody else is here: open this page in a second tab." : "";
    show("people-news", error ? String(error) : `You waved.${alone}`);
  }

  #look(): void {
    if (document.visibilityState !== "visible") {
      this.#here?.close();
      this.#here = undefined;
      return;
    }
    this.#here ??= this.#client.subscribe(LOOKING, {
      from: "live",
      presence: { join: true, watch: true },
      onMembers: (_channel, all, count) => {
        this.#looking = all.length === count ? new Set(all.map(({ user }) => user)) : undefined;
        this.#render();
      },
    });
  }

  async #rename(name: string): Promise<void> {
    const visit = await this.#visitor.enter(name);
    element<HTMLInputElement>("name").value = "";
    this.#join(visit.token);
    show("people-news", `You are ${visit.name} now.`);
  }

  #render(): void {
    show("people-count", String(this.#count));
    const present = new Set(this.#members.map(({ user }) => user));
    for (const [user, row] of this.#rows) {
      if (present.has(user)) continue;
      row.remove();
      this.#rows.delete(user);
    }
    for (const member of this.#members) this.#renderRow(member);
    const unnamed = this.#count - this.#members.length;
    show("people-more", unnamed > 0 ? `${unnamed} people: too many to name.` : "");
  }

  /** Rows stay where they are, so that a button keeps the focus. */
  #renderRow(member: Member): void {
    const { user } = member;
    const name = nameOf(member);
    const row = this.#rows.get(user) ?? this.#addRow(user);
    const away = this.#looking !== undefined && !this.#looking.has(user);
    row.dataset.state = away ? "away" : "here";
    row.classList.toggle("waves", this.#waving.has(user));
    const [label, state, button] = row.children as unknown as HTMLElement[];
    show(label!, name);
    const said = { you: user === this.#me, away, waves: this.#waving.has(user) };
    show(
      state!,
      Object.entries(said)
        .flatMap(([word, is]) => (is ? [word] : []))
        .join(", "),
    );
    button!.setAttribute("aria-label", `Sign out ${name}`);
  }

  #addRow(user: string): HTMLLIElement {
    const row = make("li", "person");
    const button = make("button", "", "Sign out");
    button.type = "button";
    button.addEventListener("click", () => {
      button.disabled = true;
      call(`/demo/sign-out/${encodeURIComponent(user)}`).catch((error) => {
        button.disabled = false;
        show("people-news", String(error));
      });
    });
    row.append(make("strong"), make("span", "note"), button);
    this.#rows.set(user, row);
    this.#list.append(row);
    return row;
  }
}

/** What the region shows. Everything that others say of themselves becomes text. */
import { fill, type PresenceConfig, type Texts, timeText } from "./config.ts";
import { colour, initials, type People, type Person } from "./people.ts";

/** Colours of initials, in presence.css. */
const COLOURS = 8;
/** Those who come and go within so long are read out together, ms. */
const ANNOUNCE_MS = 1_000;
/** More than so many are not read out one by one. */
const NAMED = 3;

/** Only http and https are addresses of pictures. */
function address(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  try {
    const url = new URL(given, document.baseURI);
    return /^https?:$/.test(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export class View {
  readonly #texts: Texts;
  readonly #config: Pick<PresenceConfig, "look" | "most" | "myself" | "lock">;
  readonly #list = element("ul", "rtm-Presence-list");
  readonly #note = element("span", "rtm-Presence-note");
  readonly #lock = element("p", "rtm-Presence-lock");
  readonly #spoken = element("span", "rtm-Presence-words");
  /** Pictures that could not be loaded. */
  readonly #broken = new Set<string>();
  #shown = "";
  #news: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    place: HTMLElement,
    config: Pick<PresenceConfig, "look" | "most" | "myself" | "lock">,
    texts: Texts,
  ) {
    this.#config = config;
    this.#texts = texts;
    this.#list.setAttribute("aria-label", texts.label);
    for (const live of [this.#lock, this.#spoken]) live.setAttribute("role", "status");
    place.replaceChildren(this.#list, this.#note, this.#lock, this.#spoken);
  }

  show(people: People): void {
    const { look, most, myself } = this.#config;
    const { you, away, more, count: counted, nobody } = this.#texts;
    const persons = myself ? people.all : people.others;
    const hidden = people.all.length - persons.length;
    const count = Math.max(people.count - hidden, persons.length);
    const shown = look === "NUMBER" ? [] : persons.slice(0, most);
    const items = shown.map((person) => {
      const states = [
        ...(person.user === people.me ? [you] : []),
        ...(people.isAway(person) ? [away] : []),
      ];
      return { person, states, isAway: people.isAway(person) };
    });
    const looks = JSON.stringify([
      people.known,
      count,
      items.map(({ person: { user, name, image }, states }) => [user, name, image, states]),
    ]);
    if (looks !== this.#shown) {
      this.#shown = looks;
      const entries = items.map(({ person, states, isAway }) =>
        this.#entry(person, states, isAway),
      );
      if (shown.length > 0 && count > shown.length) {
        const rest = element("li", "rtm-Presence-more");
        const number = element("span", "rtm-Presence-avatar", `+${count - shown.length}`);
        number.setAttribute("aria-hidden", "true");
        rest.append(
          number,
          element("span", "rtm-Presence-words", fill(more, { count: count - shown.length })),
        );
        entries.push(rest);
      }
      this.#list.replaceChildren(...entries);
      this.#list.hidden = entries.length === 0;
      // Whoever does not know is not to say that nobody is there.
      const said = count === 0 ? nobody : entries.length === 0 ? fill(counted, { count }) : "";
      const note = people.known ? said : "";
      this.#note.textContent = note;
    }
    this.#showLock(people.holder);
  }

  #entry(person: Person, states: readonly string[], isAway: boolean): HTMLLIElement {
    const said = [person.name, ...states].join(", ");
    const entry = element("li", "rtm-Presence-person");
    entry.classList.toggle("is-away", isAway);
    entry.title = said;
    const hidden = this.#config.look === "AVATARS" ? "rtm-Presence-words" : "rtm-Presence-name";
    entry.append(this.#avatar(person), element("span", hidden, said));
    return entry;
  }

  #avatar({ user, name, image }: Person): HTMLElement {
    const avatar = element(
      "span",
      `rtm-Presence-avatar rtm-Presence-avatar--${colour(user, COLOURS)}`,
    );
    avatar.setAttribute("aria-hidden", "true");
    const source = address(image);
    if (source === undefined || this.#broken.has(source)) {
      avatar.textContent = initials(name);
      return avatar;
    }
    const picture = document.createElement("img");
    picture.alt = "";
    picture.src = source;
    picture.addEventListener("error", () => {
      this.#broken.add(source);
      avatar.textContent = initials(name);
    });
    avatar.append(picture);
    return avatar;
  }

  #showLock(holder: Person | undefined): void {
    const { lock } = this.#config;
    const text =
      lock && holder
        ? fill(this.#texts.edits, { name: holder.name, time: timeText(holder.since) })
        : "";
    if (this.#lock.textContent !== text) this.#lock.textContent = text;
  }

  /** Reads out who has come and gone, for those who do not see it. */
  announce(joined: readonly Person[], left: readonly Person[], count: number): void {
    const { came, left: went, count: counted } = this.#texts;
    this.#news.push(
      ...joined.map(({ name }) => fill(came, { name })),
      ...left.map(({ name }) => fill(went, { name })),
    );
    if (this.#news.length === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const few = this.#news.length <= NAMED;
      this.#spoken.textContent = few ? this.#news.join(". ") : fill(counted, { count });
      this.#news = [];
    }, ANNOUNCE_MS);
  }
}

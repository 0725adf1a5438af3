/**
 * Stands in for the presence region's PL/SQL (presence-region.sql), which the page tests cannot run:
 * who may be seen is decided here, and what others see of a user is put into the token here.
 */
import { signJwt } from "../../relay/access/jwt.ts";

type Attributes = Readonly<Record<number, string>>;

/** What of the APEX session the region asks for. */
export interface Session {
  readonly user: string;
  readonly url: string;
  readonly secret: string;
  readonly lifetimeMs: number;
  /** The authorization function; undefined: the component settings name none. */
  readonly allows: ((channel: string) => boolean) | undefined;
  /** `&ITEM.` replaced by session state. */
  substituted(text: string): string;
}

interface Visit {
  readonly channel: string;
  readonly join: boolean;
  readonly away: boolean;
  info: Record<string, unknown>;
  rows: Record<string, number>;
}

const MOST_INFO_BYTES = 512;
const epochS = () => Math.floor(Date.now() / 1000);

export class PresenceServer {
  readonly #attributes: Attributes;
  readonly #visits: Visit[] = [];

  constructor(attributes: Attributes) {
    this.#attributes = attributes;
  }

  /** The configuration of the page, or why nobody is shown. */
  configuration(session: Session): object {
    const { 4: look, 5: most, 6: access, 8: grid, 10: url, 12: settings } = this.#attributes;
    const page = { pageItems: "#P10_ID", regions: ["PEOPLE", "R1"] };
    try {
      const channel = this.#channel(session);
      this.#check(channel, access, session);
      const visit = this.#note(channel, session);
      return {
        url: url ?? session.url,
        channel,
        token: this.#token(visit, session),
        grant: this.#visits.indexOf(visit),
        sessionEnded: "Your session has expired",
        ...page,
        look: look ?? "AVATARS",
        most: Number(most ?? 8),
        lock: this.#attributes[7] === "Y",
        grid: grid ?? null,
        join: !this.#has("WATCH_ONLY"),
        away: this.#has("AWAY"),
        myself: this.#has("MYSELF"),
        lazy: this.#has("LAZY"),
        stay: this.#has("STAY"),
        readOnly: this.#has("READ_ONLY"),
        settings: settings === undefined ? {} : JSON.parse(settings),
      };
    } catch (error) {
      return { ...page, error: (error as Error).message };
    }
  }

  /** rtm_presence_ajax. */
  answer(request: URLSearchParams, session: Session): object {
    if (request.get("x01") === "CONFIG") return { configuration: this.configuration(session) };
    const visit = this.#visits[Number(request.get("f01"))];
    if (!visit) return { code: "not_authorized" };
    if (request.get("x01") === "ROWS") visit.rows = rowsOf(visit, request.getAll("f02"));
    try {
      this.#check(visit.channel, this.#attributes[6], session);
      return { token: this.#token(visit, session) };
    } catch {
      return { code: "not_authorized" };
    }
  }

  #has(option: string): boolean {
    return (this.#attributes[9] ?? "").split(":").includes(option);
  }

  #channel({ substituted }: Session): string {
    const channel = substituted(this.#attributes[1] ?? "");
    if (/[*,]/.test(channel) || channel.endsWith(":")) throw new Error("Channel: it is empty");
    return channel;
  }

  #check(channel: string, access: string | undefined, { allows }: Session): void {
    if (!allows && access !== "PAGE") throw new Error("Access: name an Authorization Function");
    if (allows && !allows(channel)) throw new Error("Channel: you may not see who is here");
  }

  #note(channel: string, session: Session): Visit {
    const { 2: name = "&APP_USER.", 3: image } = this.#attributes;
    const visit: Visit = {
      channel,
      join: !this.#has("WATCH_ONLY"),
      away: this.#has("AWAY"),
      info: {
        name: session.substituted(name),
        ...(image === undefined ? {} : { image: session.substituted(image) }),
        since: epochS(),
        ...(this.#attributes[7] === "Y" || this.#attributes[8] ? { edits: true } : {}),
      },
      rows: {},
    };
    const before = this.#visits.find((other) => other.channel === channel);
    if (!before) this.#visits.push(visit);
    return before ? Object.assign(before, visit) : visit;
  }

  #token({ channel, join, away, info, rows }: Visit, session: Session): string {
    const channels = away ? [channel, `${channel}~here`] : [channel];
    const shown = Object.keys(rows).length > 0 ? { ...info, rows } : info;
    const iat = epochS();
    return signJwt(
      { kid: "k1" },
      {
        sub: session.user,
        channels,
        presence: { watch: channels, ...(join ? { join: channels, info: shown } : {}) },
        iat,
        exp: iat + Math.ceil(session.lifetimeMs / 1000),
      },
      Buffer.from(session.secret),
    );
  }
}

function rowsOf({ info, rows }: Visit, keys: readonly string[]): Record<string, number> {
  const noted: Record<string, number> = {};
  for (const key of keys) {
    const more = { ...noted, [key]: rows[key] ?? epochS() };
    if (JSON.stringify({ ...info, rows: more }).length > MOST_INFO_BYTES) break;
    noted[key] = more[key]!;
  }
  return noted;
}

/** Whether a client may come in at all, whatever carries it. */
import type { IncomingMessage } from "node:http";
import { printable } from "../../common/printable.ts";
import { originOf } from "../config/config.ts";
import type { CloseName } from "../contract/protocol.ts";
import type { Serving } from "../node/serving.ts";
import { isLoopback } from "./address-rates.ts";
import type { Clients } from "./clients.ts";

/** Longest piece of a request in a log line, UTF-16 units. */
const MAX_SEEN = 200;

/** What of a request may stand in a log: no query, which may hold a token. */
export function seen({ url = "", headers }: IncomingMessage): { path: string; origin?: string } {
  const short = (text: string) => printable(text.slice(0, MAX_SEEN));
  const path = short(url.split("?", 1)[0] as string);
  return headers.origin === undefined ? { path } : { path, origin: short(headers.origin) };
}

/** Why a client is closed at once. */
export interface Unwanted {
  readonly name: CloseName;
  readonly reason: string;
}

export class Admission {
  readonly #clients: Clients;
  readonly #serving: Serving;
  readonly #origins: ReadonlySet<string>;

  constructor(clients: Clients, serving: Serving) {
    this.#clients = clients;
    this.#serving = serving;
    this.#origins = new Set(clients.config.origins.map((origin) => originOf(origin) as string));
  }

  /** Why the request is to go to another node, before anything else is asked; as `Serving.passOn`. */
  get passOn(): string | undefined {
    return this.#serving.passOn;
  }

  /** Why the client is closed at once; undefined when it may stay. */
  refusalOf({ headers }: IncomingMessage): Unwanted | undefined {
    const { config, stats } = this.#clients;
    const origins = this.#origins;
    const { closeName, problem } = this.#serving;
    if (closeName) return { name: closeName, reason: problem as string };
    const { origin } = headers;
    const checked = origin !== undefined && !(config.insecure && origins.size === 0);
    // Nearly every page sends the very text that is configured, which then need not be parsed.
    const known = () => origins.has(origin ?? "") || origins.has(originOf(origin ?? "") ?? "");
    if (checked && !origins.has("*") && !known()) {
      stats.authFailed("origin_not_allowed");
      return { name: "origin_not_allowed", reason: "add the page's origin to relay.origins" };
    }
    if (this.#clients.connections.size >= config.limits.connections) {
      return { name: "too_many_connections", reason: "the connection limit is reached" };
    }
    return undefined;
  }

  /**
   * Whether clients of `address` were refused too often. Everybody behind a proxy that is not trusted has
   * its address: one must not shut out all.
   * @param unwanted this client is refused in any case
   */
  shutsOut(address: string | undefined, unwanted: boolean): boolean {
    const mayRefuse = unwanted || (address !== undefined && !isLoopback(address));
    return mayRefuse && this.#clients.addressLimits.exhausted(address, performance.now());
  }
}

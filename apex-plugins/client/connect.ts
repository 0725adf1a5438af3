/** How it begins: `connect` and its options. docs/client.md. */
import { RtmClient, type Token } from "./client.ts";
import type { Environment, More } from "./environment.ts";
import type { RelayConnection } from "./relay-connection.ts";
import type { WebSocketClass } from "./socket.ts";

export interface ConnectOptions {
  /** The relay: `wss://host/ws`, a path of the page's host, or absent for `/rtm/ws` there. */
  readonly url?: string | undefined;
  /**
   * A page that was hidden for so many minutes gives up its socket and catches up when it is shown.
   * Default 5; `false`: it stays connected. All clients of a socket have to agree.
   */
  readonly park?: number | false | undefined;
  /**
   * Whether a page may go on with an event stream or polls where WebSockets do not get through. Default
   * true. All clients of a socket have to agree.
   */
  readonly fallback?: boolean | undefined;
  /** The token for subscriptions that bring none. Public channels need no token. */
  readonly token?: Token | undefined;
  /** Outside of a page, where there is no global WebSocket (Node 20): the class of the package ws. */
  readonly webSocket?: WebSocketClass | undefined;
  /**
   * Outside of a page: is told of errors in listeners and of renewals that failed. Default: they are
   * left out. A page reports them to its console.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const PARK_MINUTES = 5;

/**
 * A client of the relay. Clients of one URL share a socket, which opens with the first
 * subscription. Throws `TypeError` when the URL or `park` cannot be used.
 */
export type Connect = (options?: ConnectOptions) => RtmClient;

type Surroundings = (
  url: string,
  options: ConnectOptions,
  more: Environment["more"],
) => RelayConnection;

/**
 * @param connectionTo the connection that clients of a URL share
 * @param fetchMore how this build of the client gets its second file
 */
export function connector(connectionTo: Surroundings, fetchMore: Environment["more"]): Connect {
  let fetched: Promise<More> | undefined;
  const more = () => {
    fetched ??= fetchMore().catch((error) => {
      fetched = undefined;
      throw error;
    });
    return fetched;
  };
  return (options = {}) => {
    const { url = "", token, park = PARK_MINUTES } = options;
    if (park !== false && !(park >= 0)) {
      throw new TypeError(`rtm: park must be minutes or false, not ${park}`);
    }
    const parkMs = park === false ? Number.POSITIVE_INFINITY : park * 60_000;
    const connection = connectionTo(url, options, more);
    if (options.fallback === false) connection.link.ways.enabled = false;
    return new RtmClient(connection, token, parkMs);
  };
}

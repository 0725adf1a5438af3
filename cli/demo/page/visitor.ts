/** As whom this tab is here: a pass that the server has given it, and a name. */
import type { StopError, TokenProvider } from "../../../apex-plugins/client/token.ts";

/** In the tab's storage: a page that is reloaded is the same visitor, another tab is another one. */
const PASS = "rtm-demo-pass";

/** Why the client stops when there is no further token for the visitor. */
export const SIGNED_OUT = "signed_out";

interface Visit {
  readonly pass: string;
  readonly name: string;
  readonly token: string;
}

export class Visitor {
  readonly #stop: typeof StopError;
  /** One request after the other: the first one brings the pass for the rest. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param stop what ends the client for good */
  constructor(stop: typeof StopError) {
    this.#stop = stop;
  }

  /** For the client. */
  readonly token: TokenProvider = async (_reason, signal) =>
    (await this.enter(undefined, signal)).token;

  /**
   * Comes in, or back, and gets a new token.
   * @param name what the visitor wants to be called from now on
   */
  enter(name?: string, signal?: AbortSignal): Promise<Visit> {
    const turn = this.#turn.then(() => this.#enter(name, signal));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #enter(name: string | undefined, signal: AbortSignal | undefined): Promise<Visit> {
    const pass = sessionStorage.getItem(PASS) ?? undefined;
    const response = await fetch("/demo/visit", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ pass, name }),
      signal: signal ?? null,
    });
    if (response.status === 403) throw new this.#stop(SIGNED_OUT);
    if (!response.ok) throw new Error(`/demo/visit: ${response.status}`);
    const visit = (await response.json()) as Visit;
    sessionStorage.setItem(PASS, visit.pass);
    return visit;
  }

  /** The next one to come in is somebody else. */
  forget(): void {
    sessionStorage.removeItem(PASS);
  }
}

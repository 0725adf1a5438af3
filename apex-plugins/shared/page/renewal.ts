/**
 * New tokens from the AJAX callback, without keeping an idle APEX session alive: one call for all
 * listeners of the page, whose token grants the channels of all of them.
 */
import { backoffMs } from "../../client/backoff.ts";
import { StopError, type TokenProvider } from "../../client/token.ts";
import { Activity } from "./activity.ts";
import { sessionState } from "./session.ts";

/** A token that another listener has fetched within so many ms serves for this one too. */
const FRESH_MS = 30_000;

/** The Ajax callback of a plug-in that makes its tokens. */
export interface TokenCallback {
  readonly ajaxIdentifier: string;
  /** The number under which the session holds the listener's channels; absent: only its own call. */
  readonly grant?: number | undefined;
  /** APEX's text for a session that has ended, in the user's language. */
  readonly sessionEnded?: string | undefined;
}

interface Answer {
  readonly token?: string;
  readonly code?: string;
}

/** What a call has come to: a token, the certainty that none will come, or neither. */
type Outcome = { readonly token: string } | { readonly stop: string } | { readonly failed: string };

/** Codes of our own callback that can be other the next time. */
const TEMPORARY = new Set(["token_not_made"]);

function call(callback: TokenCallback, grants: readonly number[]): Promise<Outcome> {
  return new Promise((resolve) => {
    apex.server.plugin(
      callback.ajaxIdentifier,
      { f01: grants.map(String) },
      {
        dataType: "json",
        success(data) {
          const { token, code = "token_refused" } = (data ?? {}) as Answer;
          if (typeof token === "string") resolve({ token });
          else resolve(TEMPORARY.has(code) ? { failed: code } : { stop: code });
        },
        error(jqXHR, textStatus, errorThrown) {
          const failed = `${textStatus} ${jqXHR.status ?? ""} ${String(errorThrown)}`;
          const ended = callback.sessionEnded;
          // Everything else can be an upgrade under way, a proxy or a restart.
          if (jqXHR.status === 401 || (ended && String(errorThrown).includes(ended))) {
            resolve({ stop: "session_ended" });
          } else if (!(jqXHR.status && jqXHR.status < 500)) resolve({ failed });
          else {
            sessionState(jqXHR.responseText).then((state) =>
              resolve(state === "ended" ? { stop: "session_ended" } : { failed }),
            );
          }
        },
      },
    );
  });
}

/** Of components whose tokens may be put together. */
export class Renewal {
  readonly #callbacks: TokenCallback[] = [];
  readonly #activity = new Activity();
  #running: Promise<string> | undefined;
  #last: { readonly token: string; readonly at: number; readonly callbacks: number } | undefined;

  provider(callback: TokenCallback): TokenProvider {
    this.#callbacks.push(callback);
    let had: string | undefined;
    return async (reason, signal) => {
      const last = this.#last;
      const fresh =
        last &&
        last.token !== had &&
        last.callbacks === this.#callbacks.length &&
        performance.now() - last.at < FRESH_MS;
      if (!fresh) {
        // The user has just opened the page: the first token needs no other sign of life.
        this.#running ??= this.#renew(reason === "initial").finally(() => {
          this.#running = undefined;
        });
      }
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      had = fresh ? last.token : await Promise.race([this.#running!, aborted]);
      return had;
    };
  }

  async #renew(atOnce: boolean): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      if (!atOnce || attempt > 0) await this.#activity.next();
      const callbacks = this.#callbacks.length;
      // One action may be refused alone, for example by its authorization scheme: ask the others.
      const asked = this.#callbacks[attempt % callbacks]!;
      const grants = this.#callbacks.flatMap(({ grant }) => (grant === undefined ? [] : [grant]));
      const outcome = await call(asked, grants);
      if ("stop" in outcome) throw new StopError(outcome.stop);
      if ("token" in outcome) {
        this.#activity.used();
        this.#last = { token: outcome.token, at: performance.now(), callbacks };
        return outcome.token;
      }
      apex.debug.warn("rtm: no new token, it will be tried again:", outcome.failed);
      await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random)));
    }
  }
}

let renewal: Renewal | undefined;

/** The provider for one listener of the page. */
export function renewalFor(callback: TokenCallback): TokenProvider {
  renewal ??= new Renewal();
  return renewal.provider(callback);
}

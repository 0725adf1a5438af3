/** New tokens from the AJAX callback, without keeping an idle APEX session alive. */
import { StopError, type TokenProvider } from "../../client/token.ts";

const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;

/** Tells whether the user did something in this page since the last renewal. */
class Activity {
  #active = false;
  #waiting: (() => void)[] = [];

  constructor() {
    const active = () => {
      this.#active = true;
      this.#check();
    };
    let place: string | undefined;
    const sign = (event: Event) => {
      if (!event.isTrusted) return;
      if (event instanceof MouseEvent && event.type === "pointermove") {
        // Browsers report a move when the page changes below a mouse that lies still.
        const before = place;
        place = `${event.screenX} ${event.screenY}`;
        if (before === undefined || before === place) return;
      }
      active();
    };
    for (const type of SIGNS) addEventListener(type, sign, { passive: true, capture: true });
    // Going back to a page is something the user did.
    addEventListener("pageshow", ({ persisted }) => persisted && active());
    document.addEventListener("visibilitychange", () => this.#check());
  }

  /** Resolves when the page is visible and the user was active since the last time. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#waiting.push(resolve);
      this.#check();
    });
  }

  /** A renewal took place. */
  used(): void {
    this.#active = false;
  }

  #check(): void {
    if (!this.#active || document.visibilityState !== "visible") return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

let activity: Activity | undefined;

interface Answer {
  readonly token?: string;
  readonly channels?: readonly string[];
  readonly code?: string;
}

function call(ajaxIdentifier: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    apex.server.plugin(
      ajaxIdentifier,
      {},
      {
        dataType: "json",
        success: (data) => resolve(data as Answer),
        error(jqXHR, textStatus) {
          // Our callback never answers with an error, so this one is APEX's own: the session has
          // ended (also as a login page instead of JSON), or the page may not be used any more.
          const { status = 0 } = jqXHR;
          const ended =
            textStatus === "APEX" ||
            textStatus === "parsererror" ||
            status === 401 ||
            status === 403;
          reject(
            ended
              ? new StopError("session_ended")
              : new Error(`rtm: no new token: ${textStatus} ${status}`),
          );
        },
      },
    );
  });
}

/**
 * A provider that asks the server once per user activity in a visible page. `channels` are those
 * in use; the server takes its own from the attribute.
 */
export function renewal(ajaxIdentifier: string, channels: readonly string[]): TokenProvider {
  activity ??= new Activity();
  const seen = activity;
  return async (_reason, signal) => {
    await seen.next(signal);
    const answer = await call(ajaxIdentifier);
    seen.used();
    if (typeof answer.token !== "string") throw new StopError(answer.code ?? "token_refused");
    const gone = channels.filter((channel) => !answer.channels?.includes(channel));
    if (gone.length > 0) apex.debug.warn("rtm: the new token no longer grants", gone.join(", "));
    return answer.token;
  };
}

/** The function that the Broadcast dynamic action calls. */
import { itemText } from "../../shared/page/item-value.ts";
import { senderId } from "../../shared/page/sender.ts";
import { chunks } from "./chunks.ts";
import { judge, watchUser } from "./loop.ts";

/** What the render function hands to the page (broadcast-da.sql). No key, no channel. */
interface BroadcastConfig {
  /** ITEM and ITEMS: the values of `items` are sent. SCRIPT: what the expression gives. */
  readonly source: "ITEM" | "ITEMS" | "SCRIPT" | "NONE";
  readonly items: readonly string[];
  readonly onError: "RAISE" | "LOG" | "IGNORE";
  /** Firings within so many ms replace one another; 0 sends each. */
  readonly debounceMs: number;
  /** Of firings within so many ms only the first is sent; 0 sends each. */
  readonly throttleMs: number;
  /** Whether the payload carries the page's mark. */
  readonly sender: boolean;
  /** Set instead of everything else when the action is not usable. */
  readonly error?: string;
}

/** Firings that wait for the end of the debounce, by action. */
const delayed = new Map<string, ReturnType<typeof setTimeout>>();
/** Until when further firings are left out, by action; ms of the page. */
const throttled = new Map<string, number>();
/** The last call of each action: the next one waits for it, whatever comes of it. */
const calls = new Map<string, Promise<void>>();

/** `apex.da.resume` must be called exactly once on every path. */
function once(callback: unknown): (failed: boolean) => void {
  let done = false;
  return (failed) => {
    if (done) return;
    done = true;
    apex.da.resume(callback, failed);
  };
}

function currentValue(name: string): string {
  const item = apex.item(name);
  if (!item.node) throw new Error(`rtm: the page has no item ${name}`);
  return itemText(item);
}

function collect(config: BroadcastConfig, script: (() => unknown) | undefined): unknown {
  if (config.source === "SCRIPT") return script?.() ?? null;
  return config.items.map(currentValue);
}

/**
 * Sends the message. `script` is the expression of the attribute as a function. Returns false when
 * the values could not be collected, which stops the actions after this one.
 */
export function broadcast(this: DynamicActionContext, script?: () => unknown): false | undefined {
  const { attribute01 = "{}", ajaxIdentifier } = this.action;
  const config = JSON.parse(attribute01) as BroadcastConfig;
  const resume = once(this.resumeCallback);
  const failed = (error: unknown): false | undefined => {
    apex.debug.error("rtm: nothing was sent:", error);
    const raise = config.onError === "RAISE";
    if (raise) {
      apex.message.clearErrors();
      apex.message.showErrors([
        { type: "error", location: "page", message: String(error), unsafe: true },
      ]);
    }
    resume(raise);
    return raise ? false : undefined;
  };
  if (config.error !== undefined || !ajaxIdentifier) {
    return failed(config.error ?? "rtm: the action has no AJAX callback");
  }
  const deliverValues = (values: unknown) => {
    const text = JSON.stringify(values);
    if (text === undefined) throw new Error("rtm: the expression gave nothing that JSON can hold");
    deliver(ajaxIdentifier, text, config, this.resumeCallback, resume);
  };
  const send = (): false | undefined => {
    try {
      const values = collect(config, script && (() => script.call(this)));
      if (values instanceof Promise) values.then(deliverValues).catch(failed);
      else deliverValues(values);
      return undefined;
    } catch (error) {
      return failed(error);
    }
  };
  watchUser();
  const verdict = judge(ajaxIdentifier, this, config.items);
  if (verdict !== "send") {
    if (verdict === "echo") apex.debug.trace("rtm: not sent: the change came from a message");
    else apex.debug.error("rtm: not sent: pages answer each other without a user");
    resume(false);
    return undefined;
  }
  const now = performance.now();
  if (config.throttleMs > 0) {
    // The actions after a firing that is left out do not run either: nothing was sent.
    if (now < (throttled.get(ajaxIdentifier) ?? 0)) return undefined;
    throttled.set(ajaxIdentifier, now + config.throttleMs);
  }
  if (config.debounceMs > 0) {
    // A firing that is replaced is never resumed: the actions after it run once, for the last one.
    clearTimeout(delayed.get(ajaxIdentifier));
    delayed.set(
      ajaxIdentifier,
      setTimeout(() => {
        delayed.delete(ajaxIdentifier);
        send();
      }, config.debounceMs),
    );
    return undefined;
  }
  return send();
}

/** In the order of the firings. APEX's own queue drops what waits behind a call that fails. */
function deliver(
  ajaxIdentifier: string,
  text: string,
  config: BroadcastConfig,
  resumeCallback: unknown,
  resume: (failed: boolean) => void,
): void {
  const before = calls.get(ajaxIdentifier) ?? Promise.resolve();
  const call = before.then(
    () =>
      new Promise<void>((done) => {
        apex.server.plugin(
          ajaxIdentifier,
          { f01: chunks(text), ...(config.sender ? { x01: senderId() } : {}) },
          {
            dataType: "json",
            success() {
              done();
              resume(false);
            },
            error(jqXHR, textStatus, errorThrown) {
              done();
              if (config.onError === "RAISE") {
                // Shows the text and resumes with an error.
                apex.da.handleAjaxErrors(jqXHR, textStatus, errorThrown, resumeCallback);
              } else {
                apex.debug.warn("rtm: not sent:", textStatus, errorThrown);
                resume(false);
              }
            },
          },
        );
      }),
  );
  calls.set(ajaxIdentifier, call);
}

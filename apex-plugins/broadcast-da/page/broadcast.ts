/** The function that the Broadcast dynamic action calls. */
import { isEcho } from "../../shared/page/echo.ts";
import { chunks } from "./chunks.ts";

/** What the render function hands to the page (broadcast-da.sql). No key, no channel. */
interface BroadcastConfig {
  /** ITEM and ITEMS: the values of `items` are sent. SCRIPT: what the expression gives. */
  readonly source: "ITEM" | "ITEMS" | "SCRIPT" | "NONE";
  readonly items: readonly string[];
  readonly onError: "RAISE" | "LOG" | "IGNORE";
  /** Firings within so many ms replace one another; 0 sends each. */
  readonly debounceMs: number;
  /** Set instead of everything else when the action is not usable. */
  readonly error?: string;
}

interface Delayed {
  readonly timer: ReturnType<typeof setTimeout>;
  readonly resume: (failed: boolean) => void;
}

const delayed = new Map<string, Delayed>();

/** `apex.da.resume` must be called exactly once on every path. */
function once(callback: unknown): (failed: boolean) => void {
  let done = false;
  return (failed) => {
    if (done) return;
    done = true;
    apex.da.resume(callback, failed);
  };
}

/** The item's value as session state holds it: lists joined by a colon. */
function currentValue(name: string): string {
  const item = apex.item(name);
  if (!item.node) throw new Error(`rtm: the page has no item ${name}`);
  const value = item.getValue();
  return Array.isArray(value) ? value.join(":") : String(value ?? "");
}

function collect(config: BroadcastConfig, script: (() => unknown) | undefined): unknown {
  if (config.source === "SCRIPT") return script?.() ?? null;
  return config.items.map(currentValue);
}

function causedByMessage(context: DynamicActionContext, config: BroadcastConfig): boolean {
  const { browserEvent } = context;
  const [item] = config.items;
  return (
    config.source === "ITEM" &&
    item !== undefined &&
    typeof browserEvent === "object" &&
    browserEvent.type === "change" &&
    isEcho(item, currentValue(item))
  );
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
  try {
    if (causedByMessage(this, config)) {
      apex.debug.trace("rtm: not sent: the change came from a message");
      resume(false);
      return undefined;
    }
  } catch (error) {
    return failed(error);
  }
  if (config.debounceMs > 0) {
    const before = delayed.get(ajaxIdentifier);
    if (before) {
      clearTimeout(before.timer);
      before.resume(false);
    }
    const timer = setTimeout(() => {
      delayed.delete(ajaxIdentifier);
      send();
    }, config.debounceMs);
    delayed.set(ajaxIdentifier, { timer, resume });
    return undefined;
  }
  return send();
}

function deliver(
  ajaxIdentifier: string,
  text: string,
  config: BroadcastConfig,
  resumeCallback: unknown,
  resume: (failed: boolean) => void,
): void {
  apex.server.plugin(
    ajaxIdentifier,
    { f01: chunks(text) },
    {
      dataType: "json",
      // In the order of the firings.
      queue: { name: ajaxIdentifier, action: "wait" },
      success: () => resume(false),
      error(jqXHR, textStatus, errorThrown) {
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
}

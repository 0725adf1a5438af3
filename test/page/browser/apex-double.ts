/**
 * A double of the `apex` namespace, as far as the plug-ins and the recipes use it. It follows the
 * documented behaviour, the dangerous parts included: `showPageSuccess` inserts HTML, an item that
 * does not exist swallows `setValue`, display-only items take HTML, a top-level `error` in an
 * answer is a failure, a context is new for every firing.
 */

import { RegionDouble, type Elements as RegionElements } from "./regions-double.ts";

/** The part of jQuery 3 that is used here. */
interface Elements extends RegionElements {
  toArray(): HTMLElement[];
  val(): string | string[];
  val(value: string | string[]): Elements;
  append(html: string): Elements;
  empty(): Elements;
  one(events: string, handler: () => void): Elements;
  on(events: string, handler: (this: unknown, event: unknown, data: unknown) => void): Elements;
  trigger(event: string | object, data?: object): Elements;
  off(events: string): Elements;
}

interface JQuery {
  (what: unknown, context?: unknown): Elements;
  Event(name: string): { isDefaultPrevented(): boolean };
}

interface Action {
  readonly name: string;
  readonly javascriptFunction: (this: object) => unknown;
  readonly waitForResult?: boolean;
  readonly stopExecutionOnError?: boolean;
  readonly affectedElements?: string;
  readonly attribute01?: string;
  readonly ajaxIdentifier?: string | null;
}

interface DynamicAction {
  readonly event: string;
  readonly selector?: string;
  readonly onLoad?: boolean;
  readonly actions: readonly Action[];
}

declare global {
  interface Window {
    jQuery: JQuery;
    apex: object;
    /** What happened in the page, for the tests. */
    seen: Record<string, unknown[]>;
    pageActions: readonly DynamicAction[];
  }
}

const $ = window.jQuery;
const page$ = $(document);
window.seen = { debug: [], refreshes: [], alerts: [], errors: [], violations: [], actions: [] };
const note = (kind: string, value: unknown) => {
  window.seen[kind] ??= [];
  window.seen[kind].push(value);
};

addEventListener("error", ({ message }) => note("errors", message));
addEventListener("unhandledrejection", ({ reason }) => note("errors", String(reason)));
document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
  note("violations", `${effectiveDirective} ${blockedURI}`),
);

const escapeHTML = (text: string) =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;");

function item(id: string) {
  const node = document.getElementById(id);
  if (!node) return { node: false, setValue() {}, getValue: () => "" };
  const display = document.getElementById(`${id}_DISPLAY`);
  const field = node as HTMLInputElement | HTMLSelectElement;
  const plain = /^(INPUT|SELECT|TEXTAREA)$/.test(node.tagName);
  return {
    node,
    escape: node.dataset.escape === "true",
    ...(node.dataset.separator ? { getSeparator: () => node.dataset.separator } : {}),
    isChanged: () => plain && field.value !== (field as HTMLInputElement).defaultValue,
    getValue() {
      if (node instanceof HTMLSelectElement && node.multiple) return $(node).val();
      return plain ? field.value : (node.textContent ?? "");
    },
    setValue(value: string | string[], _display?: unknown, suppressChangeEvent?: boolean) {
      const html = this.escape ? escapeHTML(String(value)) : String(value);
      if (display) $(display).html(html);
      // Some items make something else of what they are given.
      if (node.dataset.makes === "upper case") field.value = String(value).toUpperCase();
      else if (plain) $(node).val(value);
      else $(node).html(html);
      if (!suppressChangeEvent) $(node).trigger("change");
    },
  };
}

item.isItem = (id: string) => document.getElementById(id)?.hasAttribute("data-item") ?? false;

const regions = new Map<string, RegionDouble>();

/** Null when the page has no element with that id. */
function region(id: string): RegionDouble | null {
  const element = $(`[id="${id}"]`);
  if (element.length === 0) return null;
  const made = regions.get(id) ?? new RegionDouble(id, element, { $, note });
  regions.set(id, made);
  return made;
}

/** `apex.region.create`: throws where no element has the id. */
region.create = (id: string, implementation: object) => {
  const element = $(`[id="${id}"]`);
  if (element.length === 0) throw new Error(`Region element not found ${id}`);
  regions.set(id, Object.assign(Object.create({ element }), implementation) as RegionDouble);
};

const queues = new Map<string, { turn: Promise<unknown>; readonly drops: (() => void)[] }>();

function plugin(
  ajaxIdentifier: string,
  data: { f01?: readonly string[]; f02?: readonly string[]; x01?: string; pageItems?: string },
  options: {
    queue?: { name: string };
    refreshObject?: string;
    success?: (data: unknown) => void;
    error?: (jqXHR: object, textStatus: string, errorThrown: unknown) => void;
  },
) {
  const body = new URLSearchParams({ ajaxIdentifier });
  for (const piece of data.f01 ?? []) body.append("f01", piece);
  for (const piece of data.f02 ?? []) body.append("f02", piece);
  if (data.x01 !== undefined) body.append("x01", data.x01);
  for (const node of data.pageItems ? $(data.pageItems).toArray() : []) {
    body.append(node.id, String(item(node.id).getValue()));
  }
  const { refreshObject } = options;
  if (refreshObject) {
    const before = $.Event("apexbeforerefresh");
    $(refreshObject).trigger(before);
    if (before.isDefaultPrevented()) return undefined;
  }
  // What waits in a queue behind a call that fails is dropped, without a word to anybody.
  let dropped = false;
  const run = async () => {
    if (dropped) return;
    let response: Response;
    try {
      response = await fetch("/ajax", { method: "POST", body });
    } catch (error) {
      options.error?.({ status: 0 }, "error", error);
      return;
    }
    const text = await response.text();
    const jqXHR = { status: response.status, responseText: text };
    if (!response.ok) {
      options.error?.(jqXHR, "error", response.statusText);
      return;
    }
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (error) {
      options.error?.(jqXHR, "parsererror", error);
      return;
    }
    const failure = (answer as { error?: string } | null)?.error;
    if (failure === undefined && refreshObject) {
      options.success?.(answer);
      $(refreshObject).trigger("apexafterrefresh");
    } else if (failure === undefined) options.success?.(answer);
    else options.error?.(jqXHR, "APEX", failure);
  };
  const name = options.queue?.name;
  if (name === undefined) return run();
  const waiting = queues.get(name) ?? { turn: Promise.resolve(), drops: [] };
  queues.set(name, waiting);
  waiting.drops.push(() => {
    dropped = true;
  });
  const { error } = options;
  options.error = (...given) => {
    for (const drop of waiting.drops.splice(0)) drop();
    error?.(...given);
  };
  waiting.turn = waiting.turn.then(run);
  return waiting.turn;
}

function resume(callback: unknown, errorOccurred: boolean) {
  if (typeof callback === "function") callback(errorOccurred);
}

const apex = {
  jQuery: $,
  gPageContext$: page$,
  env: { APP_USER: "SCOTT", APP_ID: "100", APP_PAGE_ID: "10", APP_SESSION: "12345" },
  debug: Object.fromEntries(
    ["error", "warn", "info", "trace"].map((level) => [
      level,
      (...values: unknown[]) => note("debug", [level, ...values.map(String)].join(" ")),
    ]),
  ),
  event: {
    trigger(target: string | Element | Document, event: string, data: unknown) {
      const triggered = $.Event(event);
      // jQuery spreads an array over the handler's arguments.
      $(target, document).trigger(triggered, data as object);
      return triggered.isDefaultPrevented();
    },
  },
  item,
  region,
  message: {
    showPageSuccess(html: string) {
      $("#APEX_SUCCESS_MESSAGE").html(html);
    },
    clearErrors() {
      $("#APEX_ERROR_MESSAGE").empty();
    },
    showErrors(errors: readonly { message: string; unsafe?: boolean }[]) {
      for (const { message, unsafe } of errors) {
        $("#APEX_ERROR_MESSAGE").append(unsafe === false ? message : escapeHTML(message));
      }
    },
  },
  server: { plugin },
  util: { escapeHTML },
  da: {
    resume,
    handleAjaxErrors(
      jqXHR: { status: number },
      _textStatus: string,
      errorThrown: unknown,
      resumeCallback: unknown,
    ) {
      if (jqXHR.status === 0) return;
      note("alerts", String(errorThrown));
      resume(resumeCallback, true);
    },
  },
};
window.apex = apex;

/** Runs the actions one after the other, as dynamic actions do. */
function run(
  actions: readonly Action[],
  triggeringElement: unknown,
  browserEvent: unknown,
  data: unknown,
  from = 0,
): void {
  for (let index = from; index < actions.length; index++) {
    const action = actions[index]!;
    let waiting = false;
    const context: Record<string, unknown> = {
      triggeringElement,
      affectedElements: $(action.affectedElements ?? []),
      action,
      browserEvent,
      data,
    };
    if (action.waitForResult) {
      waiting = true;
      let resumed = 0;
      context.resumeCallback = (errorOccurred: boolean) => {
        resumed++;
        note("actions", `${action.name} resumed ${resumed}${errorOccurred ? " with error" : ""}`);
        if (resumed > 1 || (errorOccurred && action.stopExecutionOnError)) return;
        run(actions, triggeringElement, browserEvent, data, index + 1);
      };
    }
    note("actions", `${action.name} runs`);
    const result = action.javascriptFunction.call(context);
    if (result === false && action.stopExecutionOnError) return;
    if (waiting) return;
  }
}

/** Called by the page's own inline script, after the actions were declared there. */
function start() {
  for (const { event, selector, onLoad, actions } of window.pageActions) {
    const handler = function (this: unknown, browserEvent: unknown, data: unknown) {
      run(actions, this, browserEvent, data);
    };
    if (event !== "ready") $(selector ?? document, document).on(event, handler);
    if (event === "ready" || onLoad) run(actions, document, "load", undefined);
  }
}

$(start);

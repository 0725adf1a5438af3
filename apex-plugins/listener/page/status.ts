/**
 * Status events. They leave the turn in which they came up: the Listener usually fires while APEX
 * is still binding the page's dynamic actions, and those after it would never hear them. What
 * several listeners would tell the same elements is told once.
 */

import type { Status } from "../../client/link.ts";
import { NOT_LOADED } from "../../client/socket.ts";

export const STATUS_EVENT = "rtm_listener_status";

/** Tells the dynamic actions of one listener. */
export type Tell = (data: object) => void;

type Target = HTMLElement | Document;

let ready = false;
let waiting: { readonly target: Target; readonly data: object; readonly text: string }[] = [];
let scheduled = false;

function flush(): void {
  ready = true;
  scheduled = false;
  const leaving = waiting;
  waiting = [];
  for (const { target, data } of leaving) apex.event.trigger(target, STATUS_EVENT, data);
}

/** What each element was last told of the connection. */
const connection = new WeakMap<Target, string>();

function put(target: Target, data: object): void {
  const text = JSON.stringify(data);
  if (waiting.some((other) => other.target === target && other.text === text)) return;
  waiting.push({ target, data, text });
  if (scheduled) return;
  scheduled = true;
  // Once the actions are bound a status stays ahead of the messages that follow it.
  if (ready) queueMicrotask(flush);
  else setTimeout(flush);
}

export function teller(targets: readonly Target[]): Tell {
  return (data) => {
    for (const target of targets) put(target, data);
  };
}

/** Tells `targets` of the connection; those that were told the same already are left out. */
export function tellConnection(targets: readonly Target[], url: string, status: Status): void {
  const text = JSON.stringify([url, status]);
  for (const target of targets) {
    if (connection.get(target) === text) continue;
    connection.set(target, text);
    put(target, status);
    if (status.code === NOT_LOADED) {
      apex.debug.warn("rtm: the file rtm-more.js beside the plug-in's script could not be loaded");
    }
  }
}

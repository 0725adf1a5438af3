/** The line above a live grid: live, paused or offline, and what is new. */
import { fill, type Texts } from "./config.ts";

export interface Bar {
  readonly element: HTMLElement;
  show(state: "live" | "paused" | "offline", paused: boolean, added: number, deleted: number): void;
}

function button(text: string, click: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "rtm-Presence-button";
  made.textContent = text;
  made.addEventListener("click", click);
  return made;
}

export function makeBar(
  texts: Texts,
  actions: { readonly toggle: () => void; readonly fetch: () => void },
): Bar {
  const element = document.createElement("div");
  element.className = "rtm-Presence-bar";
  const state = document.createElement("span");
  state.className = "rtm-Presence-state";
  const news = document.createElement("span");
  for (const live of [state, news]) live.setAttribute("role", "status");
  const toggle = button(texts.pause, actions.toggle);
  const fetch = button(texts.fetch, actions.fetch);
  element.append(state, toggle, news, fetch);
  return {
    element,
    show(mood, paused, added, deleted) {
      element.dataset.state = mood;
      if (state.textContent !== texts[mood]) state.textContent = texts[mood];
      toggle.textContent = paused ? texts.resume : texts.pause;
      const text = [
        added > 0 ? fill(texts.added, { count: added }) : "",
        deleted > 0 ? fill(texts.deleted, { count: deleted }) : "",
      ]
        .filter(Boolean)
        .join(", ");
      if (news.textContent !== text) news.textContent = text;
      // Paused is paused: they come when it goes on.
      fetch.hidden = text === "" || paused;
    },
  };
}

/** On Message: Notify. Toasts in the page, and the operating system's notification when it is hidden. */
import type { ListenerConfig } from "./config.ts";
import { fill, link, notificationText } from "./text.ts";
import { POSITIONS, showToast, type Toast, TYPES } from "./toasts.ts";

const SECONDS = 8;

function oneOf<T extends string>(choices: readonly T[], wanted: string | undefined, usual: T): T {
  return choices.find((choice) => choice === wanted?.toLowerCase()) ?? usual;
}

function toastOf(config: ListenerConfig, id: string, payload: unknown): Toast {
  const { settings } = config;
  const { seconds = SECONDS } = settings;
  return {
    id,
    type: oneOf(TYPES, settings.type && fill(settings.type, payload), "info"),
    title: fill(settings.title ?? "", payload),
    text: notificationText(config.text, payload),
    link: link(settings.link, payload),
    seconds: Number.isFinite(Number(seconds)) ? Number(seconds) : SECONDS,
    position: oneOf(POSITIONS, settings.position, "top-end"),
    cssClass: settings.cssClass ?? "",
    closeLabel: settings.close || "Close",
    more: settings.more || "#count# more",
  };
}

function notifySystem(toast: Toast): void {
  // The tag keeps several tabs from telling the same twice.
  const notification = new Notification(toast.title || document.title, {
    body: toast.text,
    tag: toast.id,
  });
  notification.onclick = () => {
    focus();
    if (toast.link) location.assign(toast.link);
    notification.close();
  };
}

/** Shows `payload`; a list shows each of its elements. */
export function notify(config: ListenerConfig, id: string, payload: unknown): void {
  const list = Array.isArray(payload) ? payload : [payload];
  for (const [index, entry] of list.entries()) {
    const toast = toastOf(config, list.length > 1 ? `${id}/${index}` : id, entry);
    showToast(toast);
    const system = config.options.includes("SYSTEM") && document.visibilityState !== "visible";
    if (system && typeof Notification === "function" && Notification.permission === "granted") {
      notifySystem(toast);
    }
  }
}

/**
 * Asks the user whether the operating system may show notifications of this page. Browsers let only a
 * click or a key press ask. Resolves to `granted`, `denied` or `default`.
 */
export async function askToNotify(): Promise<NotificationPermission> {
  return typeof Notification === "function" ? Notification.requestPermission() : "denied";
}

/** Broadcasts that are only the echo of a message, or a link of a chain of them. */
import { appliedAt, isApplying, isEcho, wasApplied } from "../../shared/page/echo.ts";
import { itemText } from "../../shared/page/item-value.ts";

/**
 * So often may changes without a user send on what messages have changed. Pages whose actions compute
 * new values from received ones, some of them after a call to the server, would go on for ever.
 */
const MOST_LINKS = 3;

const SIGNS = ["pointerdown", "keydown", "input", "paste", "drop"] as const;
let userAt = 0;
let watching = false;

/** Starts to note what the user does. */
export function watchUser(): void {
  if (watching) return;
  watching = true;
  for (const type of SIGNS) {
    const sign = (event: Event) => {
      if (event.isTrusted) userAt = performance.now();
    };
    addEventListener(type, sign, { capture: true, passive: true });
  }
}

const links = new Map<string, number>();

/** The item that an event is of: the element itself, or what holds it (radio buttons). */
function itemOf(target: unknown): string | undefined {
  let element = target instanceof Element ? target : null;
  while (element) {
    if (element.id && wasApplied(element.id)) return element.id;
    element = element.parentElement;
  }
  return undefined;
}

export type Judgement = "send" | "echo" | "loop";

/** `action` names the dynamic action, `items` what it would send. */
export function judge(
  action: string,
  context: DynamicActionContext,
  items: readonly string[],
): Judgement {
  if (isApplying()) return "echo";
  const { browserEvent, triggeringElement } = context;
  if (typeof browserEvent !== "object" || browserEvent.type !== "change") return "send";
  const changed = itemOf(browserEvent.target) ?? itemOf(triggeringElement);
  if (changed !== undefined && isEcho(changed, itemText(apex.item(changed)))) return "echo";
  if ((changed === undefined && !items.some(wasApplied)) || userAt > appliedAt()) {
    links.delete(action);
    return "send";
  }
  const count = (links.get(action) ?? 0) + 1;
  links.set(action, count);
  return count > MOST_LINKS ? "loop" : "send";
}

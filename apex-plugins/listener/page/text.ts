/** Texts of a message for people; everything in a payload is text, whatever it looks like. */
import { isRecord, member } from "../../shared/page/payload.ts";

const asText = (value: unknown) =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");

/** `template` with each `#name#` replaced by that member of the payload, whatever its case. */
export function fill(template: string, payload: unknown, encode = (text: string) => text): string {
  return template.replace(/#(\w+)#/g, (whole, name: string) => {
    const value = member(payload, name);
    return value === undefined ? whole : encode(asText(value));
  });
}

/** The text of a notification: the template's, or what the payload says by itself. */
export function notificationText(template: string, payload: unknown): string {
  if (template) return fill(template, payload);
  if (!isRecord(payload)) return asText(payload);
  return asText(member(payload, "message") ?? member(payload, "value") ?? payload);
}

/**
 * An address whose parts may come from the payload. They cannot make it another host or a script:
 * what is not http or https gives undefined.
 */
export function link(template: string | undefined, payload: unknown): string | undefined {
  if (!template) return undefined;
  try {
    const url = new URL(fill(template, payload, encodeURIComponent), document.baseURI);
    // Where the template itself leads: "/#a#/#b#" with an empty first part would be another host.
    const meant = new URL(template.replace(/#\w+#/g, "x"), document.baseURI);
    return /^https?:$/.test(url.protocol) && url.origin === meant.origin ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** What a publisher sends over its socket. */
import { rawElements, rawMember, splitItems } from "../json-span.ts";

/** A frame as it was read. */
export type ReadFrame =
  /** `texts`: one for each item; undefined when they are no JSON. */
  | { readonly op: "publish"; readonly n: number; readonly texts: readonly string[] | undefined }
  | { readonly op: "resume" }
  /** None that this version knows. */
  | { readonly op: "unknown"; readonly name: string };

/** As programs write it; anything else is parsed as a whole first. */
const USUAL = /^\{"op":"publish","n":(\d{1,15}),"messages":/;
/** Longest op in an answer, UTF-16 units. */
const MAX_OP_LENGTH = 64;

/**
 * Reads the text of a frame; its items are cut, not parsed, so that each payload keeps its text.
 * @returns why it is no frame, as a sentence without a point
 */
export function readPublishFrame(text: string): ReadFrame | string {
  const usual = USUAL.exec(text);
  if (usual && text.endsWith("]}")) {
    const texts = splitItems(text.slice(usual[0].length, -1));
    if (texts) return { op: "publish", n: Number(usual[1]), texts };
  }
  // Bounds the depth before it is parsed.
  if (splitItems(text) === undefined) return unreadable(usual);
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return unreadable(usual);
  }
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) {
    return "a frame is a JSON object";
  }
  const { op, n, messages } = frame as Readonly<Record<string, unknown>>;
  if (op === "resume") return { op };
  if (typeof op !== "string") return "op must be a string";
  if (op !== "publish") return { op: "unknown", name: op.slice(0, MAX_OP_LENGTH) };
  if (!Number.isSafeInteger(n) || (n as number) < 0) return "n must be a whole number";
  if (!Array.isArray(messages)) return "messages must be a list";
  const texts = rawElements(rawMember(text, "messages")[0] as string);
  return { op, n: n as number, texts };
}

/** Where it is known which answer is waited for, the answer says it. */
function unreadable(usual: RegExpExecArray | null): ReadFrame | string {
  if (usual) return { op: "publish", n: Number(usual[1]), texts: undefined };
  return "a frame is JSON text";
}

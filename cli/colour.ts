/** Colours of what `rtm` prints, and whether it prints any. */

const CODES = { red: 31, green: 32, yellow: 33, blue: 34, cyan: 36, bold: 1, dim: 2 } as const;
export type Style = keyof typeof CODES;

/** Gives the text its styles, or back as it is. */
export type Paint = (text: string, ...styles: readonly Style[]) => string;

/**
 * Whether to write colours to `stream`: FORCE_COLOR says so (`0` and `false`: no), NO_COLOR that not
 * (https://no-color.org: set and not empty); otherwise a terminal gets them.
 */
export function mayColour(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: terminal } = env;
  if (force) return force !== "0" && force !== "false";
  if (no) return false;
  return stream.isTTY === true && terminal !== "dumb";
}

/** @param colours without them the text stays as it is */
export function painter(colours: boolean): Paint {
  if (!colours) return (text) => text;
  return (text, ...styles) =>
    styles.length === 0
      ? text
      : `\u001b[${styles.map((style) => CODES[style]).join(";")}m${text}\u001b[0m`;
}

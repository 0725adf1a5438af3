/** A long text as form fields of an Ajax call. */

/** Characters per form field: at most 32,000 bytes of UTF-8, below PL/SQL's 32,767. */
const SIZE = 8_000;

/** `text` in pieces for `f01`, never cut inside a surrogate pair. An empty text is no piece. */
export function chunks(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + SIZE, text.length);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last < 0xdc00) to--;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

// The default hash and equality of antlr4's collections.
export function defaultHash(value) {
  if (!value) return -1;
  if (typeof value !== "string") return value.hashCode();
  let hash = 0;
  for (let i = 0; i < value.length; i++) hash = (hash * 31 + value.charCodeAt(i)) | 0;
  return hash;
}

export function defaultEquals(a, b) {
  return a ? a.equals(b) : a === b;
}

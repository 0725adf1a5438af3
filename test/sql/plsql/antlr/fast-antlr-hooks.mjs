// Module hooks of fast-antlr.mjs.
const replacements = new Map([
  ["misc/HashSet.js", new URL("./hash-set.mjs", import.meta.url).href],
  ["misc/HashMap.js", new URL("./hash-map.mjs", import.meta.url).href],
]);

let source;

export async function resolve(specifier, context, nextResolve) {
  if (specifier === "antlr4") {
    const bundle = (await nextResolve(specifier, context)).url;
    source ??= new URL("../src/antlr4/", bundle).href;
    return { url: new URL("index.node.js", source).href, format: "module", shortCircuit: true };
  }
  const resolved = await nextResolve(specifier, context);
  if (source === undefined || !resolved.url.startsWith(source)) return resolved;
  const url = replacements.get(resolved.url.slice(source.length));
  return url === undefined ? resolved : { url, format: "module", shortCircuit: true };
}

/** The plug-ins' scripts and styles, bundled: readable and minified, the same bytes every time. */
import { build } from "esbuild";
import type { PluginFile } from "../shared/manifest.ts";
import { BUNDLE } from "./target.ts";

export interface Asset {
  readonly fileName: string;
  readonly mimeType: "text/javascript" | "text/css";
  readonly content: string;
}

interface Source {
  readonly name: string;
  readonly entry: string;
  readonly kind: "js" | "css";
}

async function bundled(source: Source, version: string, minify: boolean): Promise<Asset> {
  const { name, entry, kind } = source;
  const { outputFiles } = await build({
    entryPoints: [entry],
    ...BUNDLE,
    write: false,
    minify,
    banner: { [kind]: `/*! ${name} ${version} of apex-rtm, MIT license */` },
    ...(kind === "js" ? { format: "iife" } : {}),
  });
  return {
    fileName: `${kind}/${name}${minify ? ".min" : ""}.${kind}`,
    mimeType: kind === "js" ? "text/javascript" : "text/css",
    content: outputFiles[0]!.text,
  };
}

/** `js/name.js`, `js/name.min.js` and the same for a style; APEX loads the first in debug mode. */
export async function assets(file: PluginFile, version: string): Promise<readonly Asset[]> {
  const { name, entry, style, later } = file;
  const sources: Source[] = [{ name, entry, kind: "js" }];
  if (style !== undefined) sources.push({ name, entry: style, kind: "css" });
  if (later) sources.push({ ...later, kind: "js" });
  return Promise.all(
    sources.flatMap((source) => [false, true].map((minify) => bundled(source, version, minify))),
  );
}

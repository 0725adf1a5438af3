/** The plug-ins' scripts and styles, bundled: readable and minified, the same bytes every time. */
import { build } from "esbuild";
import type { PluginFile } from "./manifest.ts";
import { BROWSER_TARGET } from "./target.ts";

export interface Asset {
  readonly fileName: string;
  readonly mimeType: "text/javascript" | "text/css";
  readonly content: string;
}

async function bundled(
  file: PluginFile,
  version: string,
  kind: "js" | "css",
  minify: boolean,
): Promise<Asset> {
  const { outputFiles } = await build({
    entryPoints: [kind === "js" ? file.entry : file.style!],
    bundle: true,
    write: false,
    target: BROWSER_TARGET,
    charset: "ascii",
    legalComments: "none",
    minify,
    banner: { [kind]: `/*! ${file.name} ${version} of apex-rtm, MIT license */` },
    ...(kind === "js" ? { format: "iife" } : {}),
  });
  return {
    fileName: `${kind}/${file.name}${minify ? ".min" : ""}.${kind}`,
    mimeType: kind === "js" ? "text/javascript" : "text/css",
    content: outputFiles[0]!.text,
  };
}

/** `js/name.js`, `js/name.min.js` and the same for a style; APEX loads the first in debug mode. */
export async function assets(file: PluginFile, version: string): Promise<readonly Asset[]> {
  const kinds = file.style === undefined ? (["js"] as const) : (["js", "css"] as const);
  return Promise.all(
    kinds.flatMap((kind) => [false, true].map((minify) => bundled(file, version, kind, minify))),
  );
}

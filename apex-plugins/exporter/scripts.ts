/** The plug-ins' browser scripts, bundled: readable and minified, the same bytes every time. */
import { build } from "esbuild";
import type { PluginFile } from "./manifest.ts";
import { BROWSER_TARGET } from "./target.ts";

export interface Script {
  readonly fileName: string;
  readonly content: string;
}

/** `name.js` and `name.min.js`; APEX loads the first in debug mode. */
export async function scripts(file: PluginFile, version: string): Promise<readonly Script[]> {
  return Promise.all(
    [false, true].map(async (minify) => {
      const { outputFiles } = await build({
        entryPoints: [file.entry],
        bundle: true,
        write: false,
        format: "iife",
        target: BROWSER_TARGET,
        charset: "ascii",
        legalComments: "none",
        minify,
        banner: { js: `/*! ${file.name} ${version} of apex-rtm, MIT license */` },
      });
      return {
        fileName: `js/${file.name}${minify ? ".min" : ""}.js`,
        content: outputFiles[0]!.text,
      };
    }),
  );
}

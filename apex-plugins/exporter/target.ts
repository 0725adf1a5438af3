/** How the client and the plug-ins' scripts are bundled. */
import type { BuildOptions } from "esbuild";

/** Browsers with ES2022: what APEX 22.1 and later support, and no polyfill for private members. */
export const BROWSER_TARGET = "es2022";

/** The same text from the same sources, in ASCII; the last two make it smaller. */
export const BUNDLE = {
  bundle: true,
  target: BROWSER_TARGET,
  charset: "ascii",
  legalComments: "none",
  define: { "Number.POSITIVE_INFINITY": "Infinity" },
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
} as const satisfies BuildOptions;

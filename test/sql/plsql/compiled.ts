/** The catalogue of our packages and tables, as one variant of conditional compilation sees them. */
import type { Catalogue } from "./catalogue.ts";
import { select, VARIANTS } from "./conditional.ts";
import { tokens } from "./lexer.ts";
import { featuresModel, packageModel, tables } from "./model.ts";
import { type SourceFile, sourceFiles } from "./units.ts";

export const files: readonly SourceFile[] = sourceFiles([
  "aq",
  "api",
  "install",
  "examples",
  "verify",
  "../examples/apex/database",
]);

/** Text of a file, by its path below `sql/`. */
export function file(path: string): string {
  const found = files.find((one) => one.path === path);
  if (!found) throw new Error(`no ${path}`);
  return found.text;
}

export function catalogueOf(variant: string): Catalogue {
  const flags = VARIANTS[variant]!;
  const packages = files
    .filter(({ path }) => path.endsWith(".pks"))
    .map(({ path, text }) => {
      const name = path.replace(/^.*\/(\w+)\.pks$/, "$1");
      return [name, packageModel(tokens(select(text, flags)))] as const;
    });
  const features = featuresModel(file("install/features.sql"));
  return { packages: new Map([...packages, ["rtm_features", features]]), tables: tables(files) };
}

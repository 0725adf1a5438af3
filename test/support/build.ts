/** What tests take from build/. */
import { join } from "node:path";
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Why build/ must not be used; undefined while it is fresh. Found once, before the run. */
    staleBuild: string | undefined;
  }
}

/** A file of build/. @throws when the build is not that of the sources */
export function built(path: string): string {
  const problem = inject("staleBuild");
  if (problem !== undefined) throw new Error(problem);
  return join("build", path);
}

/** Looks once whether build/ is that of the sources; `built` refuses it otherwise. */
import type { TestProject } from "vitest/node";
import type {} from "./build.ts";
import { staleBuild } from "./stale-build.ts";

export default function setup(project: TestProject): void {
  project.provide("staleBuild", staleBuild());
}

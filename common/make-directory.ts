/**
 * The only maker of directories that a configuration or a command names. Node's recursive `mkdir` tries
 * for ever where the system answers that a place does not exist though what is above it does, as in /proc.
 */
import { mkdirSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Types of file systems that hold nothing but what the kernel puts there: proc and sysfs, statfs(2). */
const KERNELS_OWN = new Set([0x9fa0, 0x62656572]);

/** Undefined for what is not there. */
function look(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** What is missing on the way to `path`, from the top, below a directory that is there. */
function missingOf(path: string): { readonly there: string; readonly missing: readonly string[] } {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const stats = look(at);
    if (stats?.isDirectory()) return { there: at, missing };
    if (stats) throw new Error(`${at} is not a directory`);
    if (at === dirname(at)) throw new Error(`${at} is not there`);
    missing.unshift(at);
  }
}

/**
 * Why there can be no directory at `path`, whoever makes it; undefined when there is one, or somebody may
 * be allowed to make it.
 */
export function directoryProblem(path: string): string | undefined {
  try {
    const { there, missing } = missingOf(path);
    if (missing.length === 0 || !KERNELS_OWN.has(statfsSync(there).type)) return undefined;
    return `nothing can be made in ${there}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === undefined ? message : undefined;
  }
}

/**
 * Makes it, and what is missing above it, where it is not there.
 * @returns the first that was made; undefined when all were there
 * @throws {Error} why it cannot be
 */
export function makeDirectory(path: string, mode: number): string | undefined {
  const { missing } = missingOf(path);
  for (const each of missing) {
    try {
      mkdirSync(each, { mode });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" && look(each)?.isDirectory()) continue;
      if (code !== "ENOENT") throw error;
      throw new Error(`nothing can be made in ${dirname(each)}`, { cause: error });
    }
  }
  return missing[0];
}

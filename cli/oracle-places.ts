/** Directories that a configuration names for the database driver, and what is wrong with them. */
import { closeSync, constants, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../common/errors.ts";
import type { DatabaseConfig } from "../worker/config.ts";

/** What the driver reads from each. */
const HOLDS = { configDir: "tnsnames.ora", walletLocation: "ewallet.pem" } as const;

/** Instead of a directory, in any case of letters: the certificates of the operating system. */
const SYSTEM = "SYSTEM";

export interface PlaceProblem {
  /** The configuration key, such as `database.configDir`. */
  readonly key: string;
  readonly problem: string;
  readonly fix: string;
}

/** What is wrong with them for the user of this process. */
export function placeProblems(
  database: Pick<DatabaseConfig, keyof typeof HOLDS>,
): readonly PlaceProblem[] {
  return (["configDir", "walletLocation"] as const).flatMap((key) => {
    const path = database[key];
    if (path === undefined) return [];
    if (key === "walletLocation" && path.trim().toUpperCase() === SYSTEM) return [];
    const found = problemOf(path, HOLDS[key]);
    return found ? [{ key: `database.${key}`, ...found }] : [];
  });
}

/** The same, one sentence each. */
export function placeTexts(database: Parameters<typeof placeProblems>[0]): string[] {
  return placeProblems(database).map(({ key, problem, fix }) => `${key}: ${problem}; ${fix}`);
}

/** A directory without the file is the driver's to judge: not every connect string needs it. */
function problemOf(path: string, file: string): Omit<PlaceProblem, "key"> | undefined {
  const fix = `name the directory that holds ${file}`;
  let at = path;
  try {
    if (!statSync(at).isDirectory()) return { problem: `${path} is not a directory`, fix };
    at = join(path, file);
    closeSync(openSync(at, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === "ENOENT" || code === "ENOTDIR";
    if (isMissing) {
      return at === path ? { problem: `${path}: there is no such directory`, fix } : undefined;
    }
    if (code !== "EACCES") return { problem: `${at}: ${messageOf(error)}`, fix };
    return {
      problem: `${at} may not be read by the user of this process`,
      fix: `give ${path} and its files to the service's group: chgrp -R apex-rtm, chmod -R g+rX`,
    };
  }
}

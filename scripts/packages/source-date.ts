import { spawnSync } from "node:child_process";

/**
 * When the sources are from: SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/),
 * else the last commit, else 1970. It is set for the programs that are started too, so that the same
 * sources give the same bytes.
 */
export function sourceDate(): Date {
  process.env.SOURCE_DATE_EPOCH ??=
    spawnSync("git", ["log", "-1", "--format=%ct"], { encoding: "utf8" }).stdout?.trim() || "0";
  return new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000);
}

/**
 * The history on disk while the relay is down. The file exists only between a graceful stop and
 * the next start: it is taken before the first message is accepted, so a crash can never bring an
 * old epoch back. Taking it is a rename, so that of several relays on one directory one gets it.
 */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf, RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { makeDirectory } from "../../common/make-directory.ts";
import { readState } from "./state-reader.ts";
import type { NodeState } from "./state-records.ts";
import { writeState } from "./state-writer.ts";

const FILE = "relay-history.state";
/** A file of ours that has not changed for so long belongs to no start or stop that still runs, ms. */
const LEFT_OVER_MS = 60_000;

/** The state directory cannot be used. */
function unusable(action: string, path: string, cause: unknown): RtmError {
  return new RtmError(
    "RTM_STATE_DIRECTORY",
    `service.stateDirectory: cannot ${action} ${path}: ${messageOf(cause)}`,
    { cause },
  );
}

/**
 * Identifies the running boot of the system, during which the monotonic clock counts on across
 * processes; undefined where it cannot be known.
 */
export function readBootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes the hub's history and duplicate window, replacing a file that is there.
 * @returns whether there was one: this relay has taken its own when it started, so it was another's
 * @throws {RtmError} RTM_STATE_DIRECTORY
 */
export function saveState(
  directory: string,
  state: NodeState,
  bootId: string | undefined,
  now: number,
): boolean {
  const path = join(directory, FILE);
  const temporary = ownName(path);
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      writeState(state, bootId, now, (bytes) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      });
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    const replaced = existsSync(path);
    renameSync(temporary, path);
    syncDirectory(directory);
    return replaced;
  } catch (error) {
    // A full disk must not stay fuller for it.
    removeIfThere(temporary);
    throw unusable("write", path, error);
  }
}

/** A name beside `path` that no other process uses. */
function ownName(path: string): string {
  return `${path}.${process.pid}-${randomUUID()}`;
}

function removeIfThere(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next start tries again.
  }
}

/** Removes what starts and stops left that were killed half way. */
function removeLeftOvers(directory: string): void {
  const old = Date.now() - LEFT_OVER_MS;
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(`${FILE}.`)) continue;
    const path = join(directory, name);
    const changed = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? old;
    if (changed < old) removeIfThere(path);
  }
}

/**
 * Gives the hub back what was saved, and removes the file for good. A damaged or unknown file is
 * logged and removed; the hub then keeps its new epoch.
 * @returns whether something was restored
 * @throws {RtmError} RTM_STATE_DIRECTORY: a relay that cannot take the file must not start, nor one
 * that could not write it
 */
export function restoreState(
  directory: string,
  state: NodeState,
  log: Logger,
  bootId: string | undefined,
  now: number,
): boolean {
  const path = join(directory, FILE);
  prepare(directory, log);
  const taken = ownName(path);
  if (!take(path, taken)) return false;
  let restore: (() => void) | undefined;
  try {
    restore = readState(readFileSync(taken), state, bootId, now);
  } catch (error) {
    log.warn(
      { path, reason: messageOf(error) },
      "the saved history is damaged or unknown: starting a new epoch",
    );
  }
  try {
    rmSync(taken);
    syncDirectory(directory);
  } catch (error) {
    throw unusable("remove", taken, error);
  }
  if (!restore) return false;
  restore();
  const { hub } = state;
  log.info(
    { epoch: hub.epoch, messages: hub.history.count, channels: hub.channels.size },
    "history restored",
  );
  return true;
}

/** Makes the directory where it is missing, and finds out now whether it can be written to. */
function prepare(directory: string, log: Logger): void {
  try {
    makeDirectory(directory, 0o700);
  } catch (error) {
    throw unusable("create", directory, error);
  }
  const probe = ownName(join(directory, FILE));
  try {
    closeSync(openSync(probe, "wx", 0o600));
    rmSync(probe);
    removeLeftOvers(directory);
  } catch (error) {
    // A disk can be full now and have room again at the stop.
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") {
      throw unusable("write to", directory, error);
    }
    const reason = messageOf(error);
    log.warn({ directory, reason }, "no room for the history: at a stop it may not be saved");
  }
}

/** Gives the file that name; false where there is none, or another relay was faster. */
function take(path: string, taken: string): boolean {
  try {
    renameSync(path, taken);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw unusable("take", path, error);
  }
}

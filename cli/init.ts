/** `rtm init`: the first configuration of a host and its secrets. It never changes a file. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { messageOf } from "../common/errors.ts";
import { makeDirectory } from "../common/make-directory.ts";
import { CommandError } from "./exit.ts";
import { sampleConfig } from "./reference.ts";

/** Where the units look, and the group that they run as. */
const DEFAULT_DIRECTORY = "/etc/apex-rtm";
const GROUP = "apex-rtm";
/** Bytes of a made secret; HS256 asks for at least 32 (RFC 7518 section 3.2). */
const SECRET_BYTES = 32;
/** Of the files: what owner and group may. */
const FILE_MODE = 0o640;

/** The group's number, from the local database below `root`; undefined when there is none. */
function groupId(name: string, root: string): number | undefined {
  let groups: string;
  try {
    groups = readFileSync(join(root, "/etc/group"), "utf8");
  } catch {
    return undefined;
  }
  const line = groups.split("\n").find((entry) => entry.startsWith(`${name}:`));
  const id = Number(line?.split(":")[2]);
  return line !== undefined && Number.isInteger(id) ? id : undefined;
}

/** Creates `path`, or says that it is there: "wx" leaves no moment between the two. */
function create(path: string, text: string, group: number | undefined): boolean {
  let file: number;
  try {
    file = openSync(path, "wx", FILE_MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  try {
    writeSync(file, text);
    if (group !== undefined) {
      fchownSync(file, 0, group);
      // A umask such as 077 has taken the group's right, and the service could not read its configuration.
      fchmodSync(file, FILE_MODE);
    }
  } finally {
    closeSync(file);
  }
  return true;
}

export interface InitOptions {
  /** Default /etc/apex-rtm. */
  readonly dir?: string;
  /** Of an image or another tree that will be `/` later: `dir` is below it, and no file names it. */
  readonly root?: string;
}

/**
 * Writes rtm.json, token-secret and api-key where they do not exist. As root on a host with the group
 * `apex-rtm` the files belong to root and that group, readable by both and nobody else.
 * @throws {CommandError} the directory cannot be written
 */
export function init({ dir, root = "/" }: InitOptions): void {
  const named = resolve(dir ?? DEFAULT_DIRECTORY);
  const directory = join(resolve(root), named);
  const group = process.getuid?.() === 0 ? groupId(GROUP, root) : undefined;
  const secret = () => `${randomBytes(SECRET_BYTES).toString("base64url")}\n`;
  const files: readonly [name: string, text: string][] = [
    ["rtm.json", sampleConfig(named)],
    ["token-secret", secret()],
    ["api-key", secret()],
  ];
  try {
    if (makeDirectory(directory, 0o750) !== undefined) {
      chmodSync(directory, 0o750);
      if (group !== undefined) chownSync(directory, 0, group);
    }
    for (const [name, text] of files) {
      const path = join(directory, name);
      const created = create(path, text, group);
      process.stdout.write(`${created ? "created" : "kept   "} ${join(named, name)}\n`);
    }
  } catch (error) {
    throw new CommandError(`${messageOf(error)}; run it as root, or name a --dir of yours`, {
      cause: error,
    });
  }
  process.stdout.write(
    `next: edit ${join(named, "rtm.json")}, write the database password to ${join(named, "db-password")} (mode 600),\n` +
      `      then: rtm check-config --role serve --config ${join(named, "rtm.json")}; rtm doctor --config ${join(named, "rtm.json")}\n`,
  );
}

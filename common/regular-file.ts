/**
 * The only reader of files that a configuration or a command names. A pipe whose writer never comes, or
 * a device that never ends, must not keep a start or a reload waiting for ever. Links are followed:
 * Kubernetes mounts secrets as links, systemd passes credentials as regular files.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { messageOf } from "./errors.ts";
import { formatSize } from "./units.ts";

const PIECE_BYTES = 64 * 1024;

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a directory";
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

function checkRegular(stats: Stats): void {
  if (stats.isFile()) return;
  throw new Error(`it is ${kindOf(stats)}; it must be a regular file, or a link to one`);
}

/**
 * All of the file at `path`.
 * @param maxBytes a longer one is an error
 * @throws {Error} why it cannot be read; the message does not name the path
 */
export function readRegularFile(path: string, maxBytes: number): Buffer {
  // Looked at first, because to open a device may do something.
  checkRegular(statSync(path));
  // Not blocking, for what may have been put there meanwhile.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    checkRegular(fstatSync(descriptor));
    const pieces: Buffer[] = [];
    // Not the size that the system names: it is 0 for files that are made when they are read.
    for (let bytes = 0; ; ) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const length = readSync(descriptor, piece);
      if (length === 0) return Buffer.concat(pieces, bytes);
      bytes += length;
      if (bytes > maxBytes) throw new Error(`it is longer than ${formatSize(maxBytes)}`);
      pieces.push(piece.subarray(0, length));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Why `readRegularFile` failed, in words. */
export function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") {
    return `the user ${process.env.USER ?? process.getuid?.() ?? "of this process"} may not read it`;
  }
  return messageOf(error);
}

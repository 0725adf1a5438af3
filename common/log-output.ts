/**
 * Where log lines go: standard output, which must never keep the service from serving or ending.
 * What cannot be written, because a disk is full or nobody reads the pipe, is dropped and counted; a
 * line says how many as soon as there is room again.
 */
import { fstatSync, writeSync } from "node:fs";
import { Socket } from "node:net";

/** Unread output that is held in memory for a slow reader of a pipe, bytes. */
const MOST_HELD_BYTES = 1024 * 1024;

/** A destination of pino. */
export class LogOutput {
  /** Lines that could not be written. */
  dropped = 0;
  #reported = 0;
  readonly #write: (line: string) => boolean;
  readonly #pipe: Socket | undefined;

  /** @param descriptor of a file, a terminal, a pipe or a socket */
  constructor(descriptor = 1) {
    this.#pipe = isPipe(descriptor) ? openPipe(descriptor) : undefined;
    const pipe = this.#pipe;
    this.#write = pipe
      ? (line) => writeToPipe(pipe, line)
      : (line) => writeToFile(descriptor, line);
  }

  /** One line with its line break, as pino calls it. Never waits and never throws. */
  write(line: string): void {
    const missing = this.dropped - this.#reported;
    if (missing > 0 && this.#write(droppedLine(missing))) this.#reported = this.dropped;
    if (!this.#write(line)) this.dropped++;
  }

  /** Waits until everything is written, at most `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    const pipe = this.#pipe;
    if (!pipe || pipe.destroyed || pipe.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      pipe.write("", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function droppedLine(lines: number): string {
  const fields = { level: "warn", time: new Date().toISOString(), pid: process.pid, lines };
  return `${JSON.stringify({ ...fields, msg: "log lines were dropped: nobody took them" })}\n`;
}

function isPipe(descriptor: number): boolean {
  try {
    const found = fstatSync(descriptor);
    return found.isFIFO() || found.isSocket();
  } catch {
    return false;
  }
}

/** Not process.stdout, which blocks the whole process while a pipe is full. */
function openPipe(descriptor: number): Socket {
  const pipe = new Socket({ fd: descriptor, readable: false, writable: true });
  // A reader that has gone: from then on everything is dropped.
  pipe.on("error", () => {});
  pipe.unref();
  return pipe;
}

function writeToPipe(pipe: Socket, line: string): boolean {
  if (pipe.destroyed || pipe.writableLength > MOST_HELD_BYTES) return false;
  pipe.write(line);
  return true;
}

function writeToFile(descriptor: number, line: string): boolean {
  const bytes = Buffer.from(line);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    return true;
  } catch {
    return false;
  }
}

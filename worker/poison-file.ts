/** Where poison goes when RTM_WORKER_API cannot keep it: a bounded file of JSON lines. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, RtmError } from "../common/errors.ts";
import type { Logger } from "../common/logger.ts";
import { makeDirectory } from "../common/make-directory.ts";
import type { Poison } from "./decode.ts";

/** As much as a disk must have room for, bytes. */
const PROBE_BYTES = 4096;

export interface PoisonStore {
  /** Keeps the message durably before it returns. @throws {PoisonUnkeptError} */
  keep(queueName: string, poison: Poison): Promise<void>;
}

/** A message that cannot be delivered can be kept nowhere either; it has to stay in the queue. */
export class PoisonUnkeptError extends RtmError {
  constructor(where: string, cause: unknown) {
    super("RTM_POISON_UNKEPT", `poison cannot be kept in ${where}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Appends to `file` and syncs it. At half of `maxBytes` the file becomes `<file>.1`, replacing an
 * older one, which is logged: both together never exceed the bound by more than one message.
 */
export class FilePoisonStore implements PoisonStore {
  readonly #file: string | undefined;
  readonly #maxBytes: number;
  readonly #log: Logger;
  #tail: Promise<unknown> = Promise.resolve();
  #problem: string | undefined;

  /** @param file undefined where there is no directory for it */
  constructor(file: string | undefined, maxBytes: number, log: Logger) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  /** Why nothing can be kept, as far as the last attempt showed; undefined when it can. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Finds out whether something could be kept now. Never rejects. */
  async check(): Promise<void> {
    await this.#turn(async (file) => {
      const probe = `${file}.${process.pid}-${randomUUID()}`;
      try {
        await withFile(probe, "wx", async (handle) => {
          await handle.writeFile(Buffer.alloc(PROBE_BYTES));
          await handle.sync();
        });
      } finally {
        await rm(probe, { force: true });
      }
    }).catch(() => {});
  }

  /** As `PoisonStore.keep`. */
  async keep(queueName: string, poison: Poison): Promise<void> {
    await this.#turn(async (file) => {
      const size = await sizeOf(file);
      if (size >= this.#maxBytes / 2) {
        await rename(file, `${file}.1`);
        this.#log.warn({ file }, "poison file rotated: an older one is gone");
      }
      const line = JSON.stringify({ at: new Date().toISOString(), queue: queueName, ...poison });
      await withFile(file, "a+", async (handle) => {
        // A write that was cut short has left half a line, which must not spoil this one.
        const start = (await isTorn(handle)) ? "\n" : "";
        await handle.appendFile(`${start}${line}\n`);
        await handle.sync();
      });
    });
  }

  /** One writer at a time: several queues share the file. @throws {PoisonUnkeptError} */
  #turn(work: (file: string) => Promise<void>): Promise<void> {
    const turn = this.#tail.then(async () => {
      try {
        if (this.#file === undefined) {
          throw new Error("the service's user has no home: set service.stateDirectory");
        }
        makeDirectory(dirname(this.#file), 0o700);
        await work(this.#file);
        this.#problem = undefined;
      } catch (error) {
        const unkept = new PoisonUnkeptError(this.#file ?? "a file", error);
        this.#problem = unkept.message;
        throw unkept;
      }
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }
}

async function withFile(
  path: string,
  flags: string,
  use: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags, 0o600);
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** Whether the last line has no end. */
async function isTorn(handle: FileHandle): Promise<boolean> {
  const found = await handle.stat();
  if (!found.isFile() || found.size === 0) return false;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, found.size - 1);
  return last[0] !== 0x0a;
}

/** Where poison goes when RTM_WORKER_API cannot keep it: a bounded file of JSON lines. */
import { mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../common/logger.ts";
import type { Poison } from "./decode.ts";

export interface PoisonStore {
  /** Keeps the message durably before it returns. */
  keep(queueName: string, poison: Poison): Promise<void>;
}

/**
 * Appends to `file` and syncs it. At half of `maxBytes` the file becomes `<file>.1`, replacing an
 * older one, which is logged: both together never exceed the bound by more than one message.
 */
export class FilePoisonStore implements PoisonStore {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #log: Logger;
  #tail: Promise<void> = Promise.resolve();

  constructor(file: string, maxBytes: number, log: Logger) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  keep(queueName: string, poison: Poison): Promise<void> {
    // One writer at a time: several queues share the file.
    const turn = this.#tail.then(() => this.#append(queueName, poison));
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #append(queueName: string, poison: Poison): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
    const size = await stat(this.#file).then(
      (found) => found.size,
      () => 0,
    );
    if (size >= this.#maxBytes / 2) {
      await rename(this.#file, `${this.#file}.1`);
      this.#log.warn({ file: this.#file }, "poison file rotated: an older one is gone");
    }
    const line = `${JSON.stringify({ at: new Date().toISOString(), queue: queueName, ...poison })}\n`;
    const handle = await open(this.#file, "a", 0o600);
    try {
      await handle.writeFile(line);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

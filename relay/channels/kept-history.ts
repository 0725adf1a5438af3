/**
 * The history of a node that numbers its messages itself, over a restart: taken from the state directory
 * at the start, written there at a graceful stop.
 */
import type { Logger } from "../../common/logger.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { Hub } from "./hub.ts";
import { readBootId, restoreState, saveState } from "./state-file.ts";
import type { KeepsMembers } from "./state-records.ts";

export interface KeptHistoryOptions {
  readonly directory: string;
  readonly hub: Hub;
  readonly messageLog: MemoryLog;
  /** Whose members are kept too; undefined where nobody is seen. */
  readonly members: KeepsMembers | undefined;
  readonly log: Logger;
  /** The relay's clock, ms; it goes on across a restart. */
  readonly clock: () => number;
}

/** Restored once before anything is accepted, saved once at the stop. */
export class KeptHistory {
  readonly #options: KeptHistoryOptions;
  #restored = false;
  #saved = false;

  constructor(options: KeptHistoryOptions) {
    this.#options = options;
  }

  /**
   * Takes the file, so that nobody else can; called before the first message is accepted.
   * @throws {RtmError} RTM_STATE_DIRECTORY
   */
  restore(): void {
    const { directory, log, clock } = this.#options;
    this.#restored = restoreState(directory, this.#options, log, readBootId(), clock());
  }

  /**
   * Writes the file, once: later calls do nothing.
   * @param served false: this node has served nothing, so only what it restored is worth keeping
   * @throws {RtmError} RTM_STATE_DIRECTORY
   */
  save(served: boolean): void {
    const { directory, hub, log, clock } = this.#options;
    if (this.#saved || !(served || this.#restored)) return;
    this.#saved = true;
    hub.flush();
    if (saveState(directory, this.#options, readBootId(), clock())) {
      const text =
        "another relay had saved its history there, which is replaced: each needs a directory of its own";
      log.warn({ stateDirectory: directory }, text);
    }
    const { count, bytes } = hub.history;
    log.info({ messages: count, bytes }, "history saved");
  }
}

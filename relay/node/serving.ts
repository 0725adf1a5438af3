/** Whether the relay takes messages and clients, and why not. */
import type { CloseName } from "../contract/protocol.ts";

/** A condition that `/readyz` of the admin listener reports. */
export interface ReadinessReason {
  /** Stable, e.g. `standby`, `insecure`. */
  readonly code: string;
  readonly message: string;
  /** False for a warning that does not make the service unready. */
  readonly blocking: boolean;
}

/** Why the relay does not serve; it decides the close code that clients get. */
export type NotServing = "starting" | "standby" | "log_lost" | "draining";

const MESSAGES: Readonly<Record<NotServing, string>> = {
  starting: "the relay is starting",
  standby: "another node serves",
  log_lost: "the log of messages is not heard",
  draining: "the relay is stopping",
};

/**
 * The one answer to whether this node takes messages and clients. It begins as `starting`, and ends
 * as `draining`.
 */
export class Serving {
  readonly #shared: boolean;
  #reason: NotServing | undefined = "starting";
  #detail: string | undefined;
  /** Called when it stops serving, with the close code for clients. */
  onDown: (closeName: CloseName) => void = () => {};

  /** @param shared other nodes serve the same log at the same time */
  constructor(shared: boolean) {
    this.#shared = shared;
  }

  /** Undefined while it serves. */
  get reason(): NotServing | undefined {
    return this.#reason;
  }

  /** What to tell a publisher or a health check; undefined while serving. */
  get problem(): string | undefined {
    return this.#reason && (this.#detail ?? MESSAGES[this.#reason]);
  }

  /** The close code for clients that come now; undefined while serving. */
  get closeName(): CloseName | undefined {
    if (this.#reason === undefined) return undefined;
    return this.#reason === "standby" ? "standby" : "going_away";
  }

  /**
   * Why a load balancer should give a request for a connection to another node; undefined when this one
   * answers it itself. It knows of a refusal by its status only: a connection that is accepted and then
   * closed counts as a success, and as one fewer, so the node that cannot serve would be sent all.
   */
  get passOn(): string | undefined {
    return this.#shared ? this.problem : undefined;
  }

  /**
   * @param reason undefined: it serves from now on
   * @param detail instead of the usual words, for health checks and publishers
   */
  set(reason: NotServing | undefined, detail?: string): void {
    this.#reason = reason;
    this.#detail = detail;
    const { closeName } = this;
    if (closeName) this.onDown(closeName);
  }
}

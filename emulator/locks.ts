/** DBMS_LOCK: user locks and who waits for them. */

/** Result of a lock request, after DBMS_LOCK.REQUEST: 0 granted, 4 held already, 1 timeout. */
export type LockResult = "granted" | "held" | "timeout";

/** DBMS_LOCK's x_mode, and s_mode: any number of sessions hold it, while none has it exclusively. */
export type LockMode = "exclusive" | "shared";

interface Holders {
  readonly mode: LockMode;
  readonly owners: Set<object>;
}

interface Request {
  readonly owner: object;
  readonly mode: LockMode;
  readonly end: (result: LockResult) => void;
}

/**
 * User locks with the semantics of DBMS_LOCK: a lock ends with its session, not with a commit. A mode is
 * not converted: who holds a lock in whichever mode holds it already.
 */
export class UserLocks {
  readonly #held = new Map<string, Holders>();
  readonly #requests = new Map<string, Set<Request>>();

  /**
   * Waits up to `timeoutMs` (0: not at all) for the lock, in order of the requests. An aborted
   * `signal` fails the call with its reason.
   */
  async acquire(
    owner: object,
    name: string,
    timeoutMs = 0,
    signal?: AbortSignal,
    mode: LockMode = "exclusive",
  ): Promise<LockResult> {
    if (this.#held.get(name)?.owners.has(owner)) return "held";
    const requests = this.#requests.get(name) ?? new Set();
    if (requests.size === 0 && this.#grant(name, { owner, mode })) return "granted";
    if (timeoutMs <= 0) return "timeout";
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      this.#requests.set(name, requests);
      const end = () => {
        clearTimeout(timer);
        requests.delete(request);
        signal?.removeEventListener("abort", onAbort);
      };
      const request: Request = {
        owner,
        mode,
        end: (result) => {
          end();
          resolve(result);
        },
      };
      const onAbort = () => {
        end();
        this.#serve(name);
        reject(signal!.reason);
      };
      const timer = setTimeout(() => {
        request.end("timeout");
        this.#serve(name);
      }, timeoutMs);
      requests.add(request);
      signal?.addEventListener("abort", onAbort);
    });
  }

  #grant(name: string, { owner, mode }: Pick<Request, "owner" | "mode">): boolean {
    const holders = this.#held.get(name);
    if (!holders) this.#held.set(name, { mode, owners: new Set([owner]) });
    else if (mode === "shared" && holders.mode === "shared") holders.owners.add(owner);
    else return false;
    return true;
  }

  /** Grants what waits, in order, up to the first that has to go on waiting. */
  #serve(name: string): void {
    for (const request of [...(this.#requests.get(name) ?? [])]) {
      if (!this.#grant(name, request)) return;
      request.end("granted");
    }
  }

  /** False when the owner does not hold it. */
  release(owner: object, name: string): boolean {
    const holders = this.#held.get(name);
    if (!holders?.owners.delete(owner)) return false;
    if (holders.owners.size === 0) this.#held.delete(name);
    this.#serve(name);
    return true;
  }

  /** The owner is gone: it gives up what it holds and what it waits for. */
  releaseAll(owner: object): void {
    for (const [name, requests] of this.#requests) {
      for (const request of [...requests]) if (request.owner === owner) request.end("timeout");
      this.#serve(name);
    }
    for (const name of this.heldBy(owner)) this.release(owner, name);
  }

  /** Names of the locks that the owner holds. */
  heldBy(owner: object): string[] {
    return [...this.#held].filter(([, { owners }]) => owners.has(owner)).map(([name]) => name);
  }
}

/** Result of a lock request, after DBMS_LOCK.REQUEST: 0 granted, 4 held already, 1 timeout. */
export type LockResult = "granted" | "held" | "timeout";

interface Request {
  owner: object;
  end: (result: LockResult) => void;
}

/** Exclusive user locks with the semantics of DBMS_LOCK: a lock ends with its session, not with a commit. */
export class UserLocks {
  readonly #held = new Map<string, object>();
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
  ): Promise<LockResult> {
    const holder = this.#held.get(name);
    if (holder === owner) return "held";
    if (holder === undefined) {
      this.#held.set(name, owner);
      return "granted";
    }
    if (timeoutMs <= 0) return "timeout";
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const requests = this.#requests.get(name) ?? new Set();
      this.#requests.set(name, requests);
      const end = () => {
        clearTimeout(timer);
        requests.delete(request);
        signal?.removeEventListener("abort", onAbort);
      };
      const request: Request = {
        owner,
        end: (result) => {
          end();
          resolve(result);
        },
      };
      const onAbort = () => {
        end();
        reject(signal!.reason);
      };
      const timer = setTimeout(() => request.end("timeout"), timeoutMs);
      requests.add(request);
      signal?.addEventListener("abort", onAbort);
    });
  }

  /** False when the owner does not hold it. */
  release(owner: object, name: string): boolean {
    if (this.#held.get(name) !== owner) return false;
    this.#held.delete(name);
    const next = this.#requests.get(name)?.values().next().value;
    if (next) {
      this.#held.set(name, next.owner);
      next.end("granted");
    }
    return true;
  }

  /** The owner is gone: it gives up what it holds and what it waits for. */
  releaseAll(owner: object): void {
    for (const requests of this.#requests.values()) {
      for (const request of [...requests]) if (request.owner === owner) request.end("timeout");
    }
    for (const name of this.heldBy(owner)) this.release(owner, name);
  }

  /** Names of the locks that the owner holds. */
  heldBy(owner: object): string[] {
    return [...this.#held].filter(([, holder]) => holder === owner).map(([name]) => name);
  }
}

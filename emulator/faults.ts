/** Faults at named moments. A rule fires by what happens, never by time, so tests are repeatable. */
import type { OraError } from "./errors.ts";
import type { CallName, SessionView } from "./views.ts";

/**
 * - `request`: a call has arrived, nothing of it is done.
 * - `waiting`: a dequeue found nothing and begins to wait.
 * - `before-commit`: the client asked for a commit, it is not applied.
 * - `after-commit`: the commit is applied (others see it), nothing of the answer has left.
 * - `answer`: the call is done; with `kill`, half of the answer leaves first.
 */
export type Moment = "request" | "waiting" | "before-commit" | "after-commit" | "answer";

/**
 * - `kill`: the server process dies: the transaction is rolled back as lost, the socket is reset.
 * - `freeze`: from now on nothing passes in either direction; the server side goes on and keeps
 *   what it has locked, until `thaw` or `kill`.
 * - `delayMs`: this session's answers are late from now on (0: no longer).
 * - `error`: the call fails with this error; it has done nothing.
 */
export type FaultAction = "kill" | "freeze" | { delayMs: number } | { error: OraError };

export interface FaultRule {
  at: Moment;
  do: FaultAction;
  /** Only this call. Default: any. */
  call?: CallName;
  /** Only sessions that this accepts. Default: any. */
  session?: (session: SessionView) => boolean;
  /** Lets so many matching moments pass first. Default 0. */
  skip?: number;
  /** Fires so often. Default 1. */
  times?: number;
}

export interface Fault {
  /** Resolves with the session's state when the rule fires for the first time. */
  readonly fired: Promise<SessionView>;
  /** How often it has fired. */
  readonly count: number;
  cancel(): void;
}

interface ActiveRule {
  rule: FaultRule;
  skip: number;
  left: number;
  count: number;
  resolve: (session: SessionView) => void;
}

export class FaultRules {
  readonly #rules = new Set<ActiveRule>();

  /** Arms a rule; the first one that was armed is asked first. */
  add(rule: FaultRule): Fault {
    const { promise, resolve } = promiseWithResolver<SessionView>();
    const active: ActiveRule = {
      rule,
      skip: rule.skip ?? 0,
      left: rule.times ?? 1,
      count: 0,
      resolve,
    };
    this.#rules.add(active);
    return {
      fired: promise,
      get count() {
        return active.count;
      },
      cancel: () => void this.#rules.delete(active),
    };
  }

  /** The action of the first rule that matches, which counts as fired. */
  match(at: Moment, call: CallName, view: () => SessionView): FaultAction | undefined {
    for (const active of this.#rules) {
      const { rule } = active;
      if (rule.at !== at || (rule.call && rule.call !== call)) continue;
      const session = view();
      if (rule.session && !rule.session(session)) continue;
      if (active.skip > 0) {
        active.skip -= 1;
        continue;
      }
      active.count += 1;
      active.left -= 1;
      if (active.left <= 0) this.#rules.delete(active);
      active.resolve(session);
      return rule.do;
    }
    return undefined;
  }

  /** Disarms all rules. */
  clear(): void {
    this.#rules.clear();
  }
}

// Promise.withResolvers came with Node 22.
function promiseWithResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((res) => {
    resolve = res;
  });
  return { promise, resolve };
}

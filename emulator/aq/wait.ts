/** A dequeue that found nothing and waits. */
import type { Clock } from "../clock.ts";
import type { DequeuedMessage } from "./message.ts";
import { type DequeueOptions, WAIT_FOREVER } from "./options.ts";
import type { Queue, Waiter } from "./queue.ts";

/**
 * Resolves with what `attempt` takes as soon as that is something, and with nothing after `wait` seconds.
 * @throws the reason of `signal`, or whatever the queue's `stop` fails it with
 */
export function waitFor(
  queue: Queue,
  attempt: () => DequeuedMessage[],
  {
    signal,
    wait,
    onWait,
    clock,
  }: Pick<DequeueOptions, "signal" | "onWait"> & { readonly wait: number; readonly clock: Clock },
): Promise<DequeuedMessage[]> {
  return new Promise((resolve, reject) => {
    const end = () => {
      queue.waiters.delete(waiter);
      cancelTimer?.();
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: Waiter = {
      attempt: () => {
        const found = attempt();
        if (found.length === 0) return false;
        end();
        resolve(found);
        return true;
      },
      fail: (error) => {
        end();
        reject(error);
      },
    };
    const onAbort = () => waiter.fail(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    const cancelTimer =
      wait === WAIT_FOREVER
        ? undefined
        : clock.timer(wait * 1000, () => {
            end();
            resolve([]);
          });
    queue.waiters.add(waiter);
    try {
      onWait?.();
    } catch (error) {
      waiter.fail(error);
    }
  });
}

/**
 * The dictionary views that a worker's user looks into, answered from the emulator's own state. As
 * everywhere in the emulator there are no privileges; a test registers a handler of its own for what
 * a user may not see.
 */
import type { Emulator } from "../server.ts";
import type { SqlValue } from "../sql/values.ts";

const yes = (enabled: boolean) => (enabled ? "YES" : "NO");

function queueRow(emulator: Emulator, name: string): Record<string, SqlValue>[] {
  let queue: ReturnType<Emulator["queue"]>;
  try {
    queue = emulator.queue(name);
  } catch {
    return [];
  }
  return [
    {
      QUEUE_TABLE: queue.table,
      ENQUEUE_ENABLED: yes(queue.enqueueEnabled),
      DEQUEUE_ENABLED: yes(queue.dequeueEnabled),
      MAX_RETRIES: queue.maxRetries,
      RETRY_DELAY: queue.retryDelay,
      TYPE: queue.payload,
      OBJECT_TYPE: null,
      RECIPIENTS: queue.subscribers.length > 0 ? "MULTIPLE" : "SINGLE",
    },
  ];
}

/** USER_USERS, ALL_QUEUES joined with ALL_QUEUE_TABLES, V$SESSION. */
export function addDictionary(emulator: Emulator): void {
  emulator.onStatement("from user_users", () => ({
    rows: [{ ACCOUNT_STATUS: "OPEN", DAYS_LEFT: null }],
  }));
  emulator.onStatement(
    /dequeue_enabled[\s\S]*from all_queues q\s+left join all_queue_tables/i,
    ({ binds }) => {
      const rows = queueRow(emulator, `${binds.OWNER}.${binds.QUEUE}`);
      const columns =
        "QUEUE_TABLE ENQUEUE_ENABLED DEQUEUE_ENABLED MAX_RETRIES RETRY_DELAY TYPE OBJECT_TYPE RECIPIENTS";
      return rows.length > 0 ? { rows } : { columns: columns.split(" "), rows };
    },
  );
  emulator.onStatement("from v$session", () => ({
    columns: ["SID", "SERIAL", "MACHINE", "ACTION", "IDLE_S", "IN_TRANSACTION"],
    rows: emulator
      .sessions()
      .filter(({ module, action }) => module === "apex-rtm" && action.startsWith("dequeue"))
      .map(({ id, machine, action, transactionOpen }) => [
        id,
        1,
        machine,
        action,
        0,
        transactionOpen ? 1 : 0,
      ]),
  }));
}

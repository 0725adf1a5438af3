/** RTM_OPERATOR and what an owner reads of RTM_LOG, as far as the console asks for them. */
import { OraError } from "../errors.ts";
import type { Emulator } from "../server.ts";
import type { SqlValue } from "../sql/values.ts";

/** What the handlers need of the schema. */
export interface AdminSchema {
  readonly owner: string;
  readonly queueName: string;
  readonly log: readonly {
    readonly messageId: string;
    readonly channel: string | null;
    readonly eventName: string | null;
    readonly status: string;
    readonly reason: string | null;
  }[];
  readonly workers: ReadonlyMap<
    string,
    {
      readonly host: string;
      readonly version: string;
      readonly state: string;
      readonly queue: string;
    }
  >;
}

function headerOf(payload: unknown): { channel?: unknown; eventName?: unknown } {
  try {
    const [line] = Buffer.isBuffer(payload) ? payload.toString().split("\n", 1) : [];
    return line === undefined ? (payload as object) : (JSON.parse(line) as object);
  } catch {
    return {};
  }
}

const text = (value: unknown): SqlValue => (typeof value === "string" ? value : null);

/** As everywhere in the emulator there are no privileges. */
export function addAdmin(emulator: Emulator, schema: AdminSchema): void {
  const exceptionQueue = () => emulator.queue(emulator.queue(schema.queueName).exceptionQueue);
  const call = (name: string) => new RegExp(`\\b${schema.owner}\\.rtm_operator\\.${name}\\b`, "i");

  emulator.onStatement(call("list_exceptions"), ({ binds }) => ({
    columns: ["MESSAGE_ID", "ATTEMPTS", "CHANNEL", "EVENT_NAME", "ENQUEUED"],
    rows: exceptionQueue()
      .messages()
      .slice(0, Number(binds.LIMIT ?? 100))
      .map(({ id, attempts, enqueueTime, payload }) => {
        const { channel, eventName } = headerOf(payload);
        const enqueued = new Date(Number(enqueueTime)).toISOString();
        return [id.toString("hex"), attempts, text(channel), text(eventName), enqueued];
      }),
  }));

  emulator.onStatement(call("requeue"), async ({ binds, session }) => {
    const queue = exceptionQueue();
    queue.start({ dequeue: true });
    const messageId = Buffer.from(String(binds.MESSAGE_ID), "hex");
    const [message] = await session.dequeue(queue.name, { messageId }).catch(() => []);
    if (!message) {
      throw new OraError(20107, `No message ${binds.MESSAGE_ID} in the exception queue`);
    }
    return { out: { id: session.enqueue(schema.queueName, message.payload).toString("hex") } };
  });

  emulator.onStatement(call("listeners"), () => ({
    rows: [
      {
        LISTENERS: [...schema.workers.values()]
          .map(({ state, host, version, queue }) => `${state} ${host} (${version}) ${queue}`)
          .join(", "),
      },
    ],
  }));

  emulator.onStatement(/from \w+\.rtm_log\s+where[\s\S]*'REJECTED'/i, ({ binds }) => ({
    columns: ["HAPPENED", "MESSAGE_ID", "CHANNEL", "EVENT_NAME", "REASON"],
    rows: schema.log
      .filter(({ status }) => status === "REJECTED")
      .reverse()
      .slice(0, Number(binds.LIMIT))
      .map(({ messageId, channel, eventName, reason }) => [
        new Date().toISOString(),
        messageId,
        channel,
        eventName,
        reason,
      ]),
  }));
}

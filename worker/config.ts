/** The worker's part of the configuration: database and queues. */
import { z } from "zod";
import { baseUrlProblem } from "../common/base-url.ts";
import { duration, size, textWithout } from "../common/schema.ts";
import { DEFAULT_EVENT_NAME, nameProblem } from "../relay/contract/message.ts";

/** `SIMPLE_NAME` or `OWNER.NAME`, unquoted: it is written into PL/SQL, so nothing else may pass. */
const IDENTIFIER = /^[A-Za-z][A-Za-z0-9_$#]{0,127}$/;

const identifier = z
  .string()
  .regex(IDENTIFIER, "must be an unquoted Oracle name such as RTM")
  .transform((name) => name.toUpperCase());

const queueName = z
  .string()
  .refine(
    (name) => name.split(".").length <= 2 && name.split(".").every((part) => IDENTIFIER.test(part)),
    "must be QUEUE or OWNER.QUEUE, unquoted",
  )
  .transform((name) => name.toUpperCase());

const messageName = textWithout(nameProblem);

export const PAYLOAD_KINDS = ["RAW", "JSON", "JMS_TEXT"] as const;
/** What a queue carries, as far as the worker must know. */
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

export const databaseConfig = z
  .strictObject({
    connectString: z
      .string()
      .default("")
      .describe("Easy Connect string, connect descriptor or alias of tnsnames.ora."),
    user: z.string().default("").describe("Database user that dequeues."),
    password: z.string().optional().describe("Its password. Prefer passwordFile."),
    passwordFile: z
      .string()
      .optional()
      .describe("File that holds the password; read at every connect, so it can be rotated."),
    configDir: z.string().optional().describe("Directory of tnsnames.ora."),
    walletLocation: z.string().optional().describe("Directory of ewallet.pem, or SYSTEM."),
    walletPassword: z.string().optional().describe("Password of the wallet."),
    walletPasswordFile: z.string().optional().describe("File that holds the wallet's password."),
    externalAuth: z
      .boolean()
      .default(false)
      .describe("Log on by certificate (tcps with a wallet) instead of a password."),
    connectTimeout: duration({ min: 1000 })
      .prefault("20s")
      .describe("Deadline of a whole logon; a silent listener is given up after it."),
    expireTime: duration({ min: 60_000 })
      .prefault("1m")
      .describe("TCP keepalive: a dead peer is noticed about this long after the last answer."),
    callGrace: duration({ min: 1000 })
      .prefault("10s")
      .describe(
        "How long a call may take beyond its own wait before the watchdog abandons the session.",
      ),
    maxSessionAge: duration({ min: 60_000 })
      .prefault("12h")
      .describe("Sessions older than this are replaced between two batches."),
  })
  .superRefine((database, context) => {
    const fail = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (database.password !== undefined && database.passwordFile !== undefined) {
      fail("passwordFile", "must not be set together with password");
    }
    if (database.walletPassword !== undefined && database.walletPasswordFile !== undefined) {
      fail("walletPasswordFile", "must not be set together with walletPassword");
    }
    if (database.externalAuth && (database.user || database.password || database.passwordFile)) {
      fail("externalAuth", "must not be set together with user or password");
    }
  });

export const queueConfig = z
  .strictObject({
    name: queueName.describe("QUEUE or OWNER.QUEUE; without an owner it is database.user's."),
    payload: z
      .enum(["detect", ...PAYLOAD_KINDS])
      .default("detect")
      .describe("What the queue carries. detect asks the database's dictionary at start."),
    channel: messageName
      .optional()
      .describe("For a foreign queue of bare JSON: the channel of its messages."),
    eventName: messageName
      .optional()
      .describe(`For a foreign queue: the event name; default ${DEFAULT_EVENT_NAME}.`),
    mode: z
      .enum(["wait", "notify"])
      .default("wait")
      .describe(
        "wait: a dequeue waits in the database. notify: AQ notifications wake the worker, with a " +
          "poll every `wait` besides; needs 19.4, a second connection per queue, and is not proven " +
          "on a classic queue.",
      ),
    consumer: z
      .string()
      .min(1, "must be the name of a subscriber; a queue of one consumer has none")
      .max(128)
      .optional()
      .describe(
        "Subscriber name, for a multi-consumer queue. Each has its own entry; metrics and logs name it " +
          "QUEUE:CONSUMER.",
      ),
    batch: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(100)
      .describe("Most messages of one dequeue; adapted downwards to the size of the messages."),
    wait: duration({ min: 1000, max: 119_000 })
      .prefault("20s")
      .describe("How long one dequeue waits for a message; below 120 s (Autonomous cuts there)."),
  })
  .superRefine((queue, context) => {
    if (queue.eventName !== undefined && queue.channel === undefined) {
      context.addIssue({
        code: "custom",
        path: ["eventName"],
        message: "needs channel: both describe a foreign queue",
      });
    }
    if (queue.wait % 1000 !== 0) {
      context.addIssue({
        code: "custom",
        path: ["wait"],
        message: "must be whole seconds: Oracle counts the wait in seconds",
      });
    }
  });

export const workerConfig = z.strictObject({
  queues: z
    .array(queueConfig)
    .min(1, "needs at least one queue")
    .prefault([{ name: "RTM_QUEUE" }])
    .describe("Queues to dequeue."),
  apiSchema: identifier
    .optional()
    .describe(
      "Owner of the RTM_WORKER_API that serves all queues, foreign ones too; it then needs the right " +
        "to dequeue from them. Default: the owner of each queue.",
    ),
  publishUrl: z
    .string()
    .superRefine((text, context) => {
      const problem =
        URL.canParse(text) && /^https?:/i.test(text)
          ? baseUrlProblem(text)
          : "is not a URL; write it like https://rtm.example.com";
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    })
    .optional()
    .describe("rtm worker only: the relay's URL, such as https://rtm.example.com."),
  publishKey: z.string().optional().describe("rtm worker only: API key for publishUrl."),
  publishKeyFile: z.string().optional().describe("File that holds the API key."),
  lease: z
    .enum(["auto", "off"])
    .default("auto")
    .describe(
      "auto: only one worker dequeues at a time, where RTM_WORKER_API and DBMS_LOCK allow it.",
    ),
  standby: z
    .boolean()
    .default(false)
    .describe(
      "A second rtm serve shares these queues, as active or standby. The history is then not kept " +
        "over a restart, because the other node may have served meanwhile.",
    ),
  receipts: z
    .boolean()
    .default(false)
    .describe("Write delivery time and recipients to RTM_LOG in the dequeue transaction."),
  holdPing: duration({ min: 1000, max: 120_000 })
    .prefault("30s")
    .describe("How often a session that holds a batch is pinged."),
  sideInterval: duration({ min: 1000, max: 30_000 })
    .prefault("30s")
    .describe(
      "How often heartbeat and backlog are taken, on one connection of their own. At most 30s: after " +
        "90 s of silence the database takes the worker for gone.",
    ),
  presenceInterval: duration({ min: 1000, max: 10_000 })
    .prefault("5s")
    .describe(
      "How often the database hears who is present, of channels whose presence rule says database. " +
        "At most 10s: after 15 s of silence RTM_PRESENCE shows nobody of this worker.",
    ),
  poisonBytes: size({ min: 1024 })
    .prefault("64MiB")
    .describe("Bound of the poison file where RTM_WORKER_API cannot keep it in RTM_LOG."),
});

export type DatabaseConfig = z.output<typeof databaseConfig>;
export type QueueConfig = z.output<typeof queueConfig>;
export type WorkerConfig = z.output<typeof workerConfig>;

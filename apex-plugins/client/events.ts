/** Events that clients send to each other for a moment, such as "is typing" (docs/protocol.md). */
import type { ClientFrame, Code, ServerFrame } from "../../relay/contract/protocol.ts";

type Greeting = Extract<ServerFrame, { op: "connected" }>;
type Answer = Extract<ServerFrame, { op: "published" | "error" }>;

/** What carries an event to the relay: a `Link`, as far as it is used here. */
interface EventLink {
  readonly greeting: Greeting | undefined;
  readonly status: { readonly state: string; readonly via?: string | undefined };
  /** Calls back at each change of the status, until the function that it gives is called. */
  watch(watcher: (status: { readonly state: string }) => void): () => void;
  send(frame: ClientFrame): void;
}

/** A `RelayConnection`, as far as it is used here. */
interface EventSender {
  readonly link: EventLink;
  /** Who waits for the relay's answer to a frame with this `ref`. */
  readonly answers: {
    set(ref: string, answered: (answer: Answer) => void): unknown;
    delete(ref: string): unknown;
  };
}

/** Why an event was not sent. */
export class PublishError extends Error {
  override readonly name = "RtmPublishError";
  /**
   * `not_connected`, perhaps lost with the connection; `not_supported`, the relay or this way to it carries none;
   * or a code of docs/protocol.md.
   */
  readonly code: Code | "not_connected" | "not_supported";

  constructor(code: PublishError["code"], message: string) {
    super(`rtm: ${code}: ${message}`);
    this.code = code;
  }
}

/** How many more may be sent, and since when it was so. */
const allowances = new WeakMap<Greeting, { left: number; at: number }>();

function take(greeting: Greeting, perSecond: number): boolean {
  const now = performance.now();
  const most = 2 * perSecond;
  const { left, at } = allowances.get(greeting) ?? { left: most, at: now };
  const filled = Math.min(most, left + ((now - at) / 1000) * perSecond);
  const enough = filled >= 1;
  allowances.set(greeting, { left: enough ? filled - 1 : filled, at: now });
  return enough;
}

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length;

/**
 * Sends an event to the others who listen to the channel. Resolves when the relay has taken it, rejects with
 * a `PublishError`; what the relay would close the connection for is not sent at all.
 */
export async function publish(
  { link, answers }: EventSender,
  channel: string,
  eventName: string,
  payload: unknown,
): Promise<void> {
  const { greeting, status } = link;
  const { state, via } = status;
  if (state !== "connected" || !greeting) {
    throw new PublishError("not_connected", `the client is ${state}`);
  }
  const { events, limits } = greeting;
  if (via !== "websocket") {
    throw new PublishError("not_supported", `a ${via} carries no events of clients to the relay`);
  }
  if (!events) {
    throw new PublishError("not_supported", "the relay lets clients send none (clientEvents)");
  }
  const ref = Math.random().toString(36).slice(2);
  const frame = { op: "publish", channel, eventName, payload, ref } as const;
  if (bytesOf(payload) > events.bytes) {
    throw new PublishError("message_too_large", `payload has more than ${events.bytes} bytes`);
  }
  if (bytesOf(frame) > limits.frameBytes) {
    throw new PublishError(
      "message_too_large",
      `its frame has more than ${limits.frameBytes} bytes`,
    );
  }
  if (!take(greeting, events.perSecond)) {
    throw new PublishError("publish_limit", `more than ${events.perSecond} events per second`);
  }
  await new Promise<void>((resolve, reject) => {
    const unwatch = link.watch((now) => {
      if (now.state === "connected") return;
      end();
      reject(new PublishError("not_connected", "the connection broke before the relay answered"));
    });
    const end = () => {
      unwatch();
      answers.delete(ref);
    };
    answers.set(ref, (answer) => {
      end();
      if (answer.op === "published") resolve();
      else reject(new PublishError(answer.code, answer.message));
    });
    link.send(frame);
  });
}

/** One dequeue in PL/SQL: what goes in and comes out, of RTM_WORKER_API as of the block without it. */
import { outNumber, outPieces, outText } from "./binds.ts";
import type { PayloadKind } from "./config.ts";
import type { Dequeued } from "./decode.ts";

export interface TextRequest {
  /** OWNER.QUEUE */
  readonly queueName: string;
  readonly kind: PayloadKind;
  readonly consumer?: string | undefined;
  /** Rounded up to whole seconds, which is what AQ waits. */
  readonly waitMs: number;
}

/** Parameters of the PL/SQL dequeue, the same for the package and for the anonymous block. */
export function textBinds({ queueName, kind, consumer, waitMs }: TextRequest) {
  return {
    queue: queueName,
    kind,
    consumer: consumer ?? null,
    wait: Math.ceil(waitMs / 1000),
    navigation: 1,
    id: outText(32),
    attempts: outNumber,
    enqueued: outNumber,
    pieces: outPieces,
    truncated: outNumber,
  };
}

/** The values of the OUT binds. */
export interface TextResult {
  /** Null when nothing came. */
  id: string | null;
  attempts: number;
  pieces: string[];
  /** 1 when the text was longer than the pieces hold. */
  truncated: number;
}

/** What was dequeued; `undefined` when nothing came. */
export function textResult({ id, attempts, pieces, truncated }: TextResult): Dequeued | undefined {
  if (id === null) return undefined;
  const text = pieces.join("");
  return { id, attempts, body: { kind: "text", text, truncated: truncated === 1 } };
}

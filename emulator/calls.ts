/** Does what one request of a session asks for, and makes its answer. */
import type { AqEngine } from "./aq/engine.ts";
import { type Notifications, readSubscribe } from "./aq/notifications.ts";
import {
  type DequeueRequest,
  dequeueAnswer,
  type EnqueueRequest,
  enqueueAnswer,
  readArray,
  readDequeue,
  readEnqueue,
} from "./aq/wire.ts";
import { ora } from "./errors.ts";
import type { Profile } from "./net/profiles.ts";
import { type Call, FUNCTION, statusAnswer } from "./net/ttc.ts";
import type { Session } from "./session.ts";
import { execute } from "./sql/answer.ts";
import { readExecute } from "./sql/execute.ts";
import { lobOperation } from "./sql/lobs.ts";
import type { Statements } from "./sql/statements.ts";

/** What calls work on, whatever the session. */
export interface CallHost {
  readonly profile: Profile;
  readonly engine: AqEngine;
  readonly statements: Statements;
  readonly notifications: Notifications;
}

/** What a call needs of the connection that it came over. */
export interface CallContext {
  readonly session: Session;
  /** Aborted when the client cancels the call or the connection ends. */
  readonly signal: AbortSignal;
  /** Commits the session, with whatever faults wait there. */
  readonly commit: () => void;
  /** From now on this connection gets the notifications of the registration whose client id this is. */
  readonly listen: (clientId: Buffer) => void;
}

/**
 * The answer; nothing for a request that only opens a stream.
 * @throws OraError, which is then the answer; ORA-03001 for what the emulator does not know
 */
export async function answerCall(
  call: Call,
  host: CallHost,
  context: CallContext,
): Promise<Buffer | undefined> {
  const { fieldVersion } = host.profile;
  const { session, signal, commit } = context;
  const { reader } = call;
  switch (call.function) {
    case FUNCTION.ping:
    case FUNCTION.pipelineEnd:
      return statusAnswer(session.transaction.active);
    case FUNCTION.commit:
      commit();
      return statusAnswer(false);
    case FUNCTION.rollback:
      session.rollback();
      return statusAnswer(false);
    case FUNCTION.logoff:
      session.logoff();
      return statusAnswer(false);
    case FUNCTION.enqueue:
      return enqueue(readEnqueue(reader, fieldVersion), false, host, session);
    case FUNCTION.dequeue:
      return dequeue(readDequeue(reader, fieldVersion), false, host, context);
    case FUNCTION.aqArray: {
      const array = readArray(reader, fieldVersion);
      return "enqueue" in array
        ? enqueue(array.enqueue, true, host, session)
        : dequeue(array.dequeue, true, host, context);
    }
    case FUNCTION.execute: {
      const request = readExecute(reader, fieldVersion, session.lobs);
      const find = () => host.statements.find(request.sql);
      return execute(request, find, { session, signal, fieldVersion, commit });
    }
    case FUNCTION.lobOperation:
      return lobOperation(reader, session.lobs, session.transaction.active);
    case FUNCTION.subscribe: {
      const request = readSubscribe(reader);
      const queue = session.resolve(request.queue);
      return host.notifications.subscribe(request, queue, session.transaction.active);
    }
    case FUNCTION.notify:
      context.listen(reader.sizedBytes()!);
      return undefined;
    default:
      throw ora.unsupported(`function ${call.function}`);
  }
}

function enqueue(
  request: EnqueueRequest,
  array: boolean,
  { engine }: CallHost,
  session: Session,
): Buffer {
  const name = session.resolve(request.queue);
  const messages = request.messages.map((message) => ({
    ...message,
    properties: {
      ...message.properties,
      exceptionQueue: message.properties.exceptionQueue
        ? session.resolve(message.properties.exceptionQueue)
        : "",
    },
  }));
  const ids = request.immediate
    ? engine.enqueueImmediately(name, messages)
    : engine.enqueue(session, name, messages);
  return enqueueAnswer(ids, array, session.transaction.active);
}

async function dequeue(
  request: DequeueRequest,
  array: boolean,
  { profile }: CallHost,
  { session, signal }: CallContext,
): Promise<Buffer> {
  const name = session.resolve(request.queue);
  const options = { ...request.options, signal };
  const messages = await session.dequeueBytes(name, request.kind, options);
  if (messages.length === 0) throw ora.noMessages(name);
  return dequeueAnswer(messages, array, profile.fieldVersion, session.transaction.active);
}

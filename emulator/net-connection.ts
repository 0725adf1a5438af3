/** One client connection: takes requests in order, runs them in a session, sends the answers. */
import type { Socket } from "node:net";
import type { AqEngine } from "./aq-engine.ts";
import {
  type DequeueRequest,
  dequeueAnswer,
  type EnqueueRequest,
  enqueueAnswer,
  readArray,
  readDequeue,
  readEnqueue,
} from "./aq-wire.ts";
import { Reader, WireError } from "./codec.ts";
import { OraError, ora } from "./errors.ts";
import type { CallName, FaultRules, Moment } from "./faults.ts";
import { Handshake } from "./handshake.ts";
import { lobOperation } from "./lobs.ts";
import { type Notifications, readSubscribe } from "./notifications.ts";
import { Network } from "./packets.ts";
import type { Profile } from "./profiles.ts";
import type { Session, SessionIdentity } from "./session.ts";
import { readExecute } from "./sql.ts";
import { execute } from "./sql-answer.ts";
import type { Statements } from "./statements.ts";
import { type Call, errorAnswer, FUNCTION, readCall, statusAnswer } from "./ttc.ts";
import type { SessionView } from "./views.ts";

/** What a connection needs of the server. */
export interface Host {
  readonly profile: Profile;
  readonly serviceName: string;
  readonly users: ReadonlyMap<string, string>;
  readonly engine: AqEngine;
  readonly statements: Statements;
  readonly faults: FaultRules;
  readonly notifications: Notifications;
  openSession(identity: SessionIdentity): Session;
  /** Something that `waitFor` may be looking at has changed. */
  changed(): void;
  countRoundTrip(): void;
  removed(connection: NetConnection): void;
}

const CALL_NAMES: Record<number, CallName> = {
  [FUNCTION.ping]: "ping",
  [FUNCTION.commit]: "commit",
  [FUNCTION.rollback]: "rollback",
  [FUNCTION.logoff]: "logoff",
  [FUNCTION.execute]: "execute",
  [FUNCTION.enqueue]: "enqueue",
  [FUNCTION.dequeue]: "dequeue",
};

/** The connection was killed in the middle of a call: nothing is to be answered. */
class Killed extends Error {}

interface Running {
  readonly name: CallName;
  readonly controller: AbortController;
  /** The client has given the call up: its answer is thrown away. */
  cancelled: boolean;
}

export class NetConnection {
  readonly network: Network;
  session: Session | undefined;
  /** Set: this connection is refused with that ORA- error. */
  refusal: number | undefined;
  readonly #host: Host;
  readonly #requests: Buffer[] = [];
  readonly #handshake: Handshake;
  #running: Running | undefined;
  #stopListening: (() => void) | undefined;
  #pumping = false;
  #breaking = false;
  #terminated = false;
  #closed = false;

  constructor(socket: Socket, host: Host) {
    this.#host = host;
    this.#handshake = new Handshake(host.profile, host.serviceName, host.users);
    this.network = new Network(socket, host.profile, {
      connect: (descriptor) => this.#connect(descriptor),
      request: (payload) => {
        if (this.#breaking) return;
        this.#requests.push(payload);
        void this.#pump();
      },
      interrupt: () => this.#interrupt(),
      reset: () => void this.#reset(),
      closed: () => this.#end(),
    });
  }

  view(): SessionView {
    const { session } = this;
    if (!session) throw new TypeError("a connection without a session has no view");
    const running = this.#running;
    return {
      id: session.id,
      user: session.user,
      module: session.attributes.module,
      action: session.attributes.action,
      clientId: session.attributes.clientId,
      clientInfo: session.attributes.clientInfo,
      program: session.identity.program,
      machine: session.identity.machine,
      state: running ? (session.waiting ? "waiting" : "running") : "idle",
      call: running?.name ?? null,
      frozen: this.network.frozen,
      transactionOpen: session.transaction.active,
      lockedMessages: session.lockedMessages,
      locks: session.locks,
      roundTrips: session.roundTrips,
      calls: Object.fromEntries(session.calls),
    };
  }

  /** The server process dies, also under a frozen network. */
  kill(): void {
    this.network.kill();
    this.#end();
  }

  /** ALTER SYSTEM KILL SESSION: rolled back at once; the client learns it by ORA-00028. */
  terminate(): void {
    this.#terminated = true;
    this.session?.lost();
    this.#running?.controller.abort(ora.sessionKilled());
    this.#host.changed();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#requests.length = 0;
    this.#running?.controller.abort(new Killed());
    this.session?.lost();
    this.#stopListening?.();
    this.#host.removed(this);
    this.#host.changed();
  }

  #connect(descriptor: string): void {
    const service = /\(SERVICE_NAME\s*=\s*([^)]*)\)/i.exec(descriptor)?.[1]?.trim();
    const sid = /\(SID\s*=\s*([^)]*)\)/i.exec(descriptor)?.[1]?.trim();
    if (this.refusal !== undefined) this.network.refuse(this.refusal);
    else if (service?.toUpperCase() === this.#host.serviceName.toUpperCase()) this.network.accept();
    else this.network.refuse(service === undefined && sid !== undefined ? 12505 : 12514);
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (;;) {
      const payload = this.#requests.shift();
      if (!payload || this.#closed) break;
      try {
        await this.#handle(payload);
      } catch (error) {
        if (!(error instanceof Killed)) {
          // Before logon, or a defect of the emulator: no client may go on from here.
          this.kill();
        }
      }
    }
    this.#pumping = false;
  }

  async #handle(payload: Buffer): Promise<void> {
    this.#host.countRoundTrip();
    if (!this.session) {
      this.#logOn(payload);
      return;
    }
    let call: Call;
    try {
      call = readCall(new Reader(payload), this.#host.profile.fieldVersion);
    } catch (error) {
      this.network.answer(this.#error(asOraError(error)));
      return;
    }
    Object.assign(this.session.attributes, call.attributes);
    for (const locators of call.freedLobs) this.session.lobs.free(locators);
    await this.#run(call, this.session);
  }

  #logOn(payload: Buffer): void {
    try {
      const answer = this.#handshake.step(payload);
      if (answer.identity) {
        this.session = this.#host.openSession(answer.identity);
        this.session.calls.set("logon", this.#handshake.steps);
        this.session.onWait = () => {
          this.#host.changed();
          if (this.#running) this.#hit("waiting", this.#running);
        };
      }
      this.network.answer(answer.payload, answer.unmarked);
      this.#host.changed();
    } catch (error) {
      this.network.answer(this.#error(asOraError(error)));
    }
  }

  // --- calls ---

  async #run(call: Call, session: Session): Promise<void> {
    const name = this.#nameOf(call);
    session.calls.set(name, (session.calls.get(name) ?? 0) + 1);
    const running: Running = {
      name,
      controller: new AbortController(),
      cancelled: false,
    };
    this.#running = running;
    // Once the call's synchronous part is over: a handler may wait from here on.
    setImmediate(() => this.#host.changed());
    const mark = session.transaction.mark();
    let answer: Buffer | undefined;
    try {
      if (this.#terminated) throw ora.sessionKilled();
      this.#hit("request", running);
      answer = await this.#dispatch(call, session, running);
      this.#hit("answer", running, answer);
    } catch (error) {
      if (error instanceof Killed) throw error;
      session.undoTo(mark);
      answer = this.#error(asOraError(error));
    } finally {
      this.#running = undefined;
      this.#host.changed();
    }
    if (this.#closed) throw new Killed();
    if (running.cancelled) session.undoTo(mark);
    else if (answer) this.network.answer(answer);
    if (this.#terminated || (call.function === FUNCTION.logoff && session.ended)) {
      this.network.end();
    }
  }

  #nameOf(call: Call): CallName {
    if (call.function !== FUNCTION.aqArray) return CALL_NAMES[call.function] ?? "other";
    // Only an array enqueue announces no input slots.
    return call.reader.peek() === 0 ? "enqueue" : "dequeue";
  }

  /** Does what a fault rule asks for. Throws `Killed` when nothing may follow. */
  #hit(moment: Moment, running: Running, answer?: Buffer): void {
    const action = this.#host.faults.match(moment, running.name, () => this.view());
    if (action === undefined) return;
    if (action === "kill") {
      if (answer) this.network.halfAnswer(answer, () => this.network.kill());
      else this.network.kill();
      this.#end();
      throw new Killed();
    }
    if (action === "freeze") this.network.freeze();
    else if ("delayMs" in action) this.network.delayMs = action.delayMs;
    else throw action.error;
  }

  /** The answer; nothing for a request that only opens a stream. */
  async #dispatch(call: Call, session: Session, running: Running): Promise<Buffer | undefined> {
    const { fieldVersion } = this.#host.profile;
    const { reader } = call;
    switch (call.function) {
      case FUNCTION.ping:
      case FUNCTION.pipelineEnd:
        return statusAnswer(session.transaction.active);
      case FUNCTION.commit:
        this.#commit(session, running);
        return statusAnswer(false);
      case FUNCTION.rollback:
        session.rollback();
        return statusAnswer(false);
      case FUNCTION.logoff:
        session.logoff();
        return statusAnswer(false);
      case FUNCTION.enqueue:
        return this.#enqueue(readEnqueue(reader, fieldVersion), false, session);
      case FUNCTION.dequeue:
        return this.#dequeue(readDequeue(reader, fieldVersion), false, session, running);
      case FUNCTION.aqArray: {
        const array = readArray(reader, fieldVersion);
        return "enqueue" in array
          ? this.#enqueue(array.enqueue, true, session)
          : this.#dequeue(array.dequeue, true, session, running);
      }
      case FUNCTION.execute: {
        const request = readExecute(reader, fieldVersion, session.lobs);
        return execute(request, () => this.#host.statements.find(request.sql), {
          session,
          signal: running.controller.signal,
          fieldVersion,
          commit: () => this.#commit(session, running),
        });
      }
      case FUNCTION.lobOperation:
        return lobOperation(reader, session.lobs, session.transaction.active);
      case FUNCTION.subscribe: {
        const request = readSubscribe(reader);
        const queue = session.resolve(request.queue);
        return this.#host.notifications.subscribe(request, queue, session.transaction.active);
      }
      case FUNCTION.notify: {
        const push = (payload: Buffer) => this.network.answer(payload, true);
        this.#stopListening = this.#host.notifications.listen(reader.sizedBytes()!, push);
        return undefined;
      }
      default:
        throw ora.unsupported(`function ${call.function}`);
    }
  }

  #commit(session: Session, running: Running): void {
    this.#hit("before-commit", running);
    session.commit();
    this.#hit("after-commit", running);
  }

  #enqueue(request: EnqueueRequest, array: boolean, session: Session): Buffer {
    const { engine } = this.#host;
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

  async #dequeue(
    request: DequeueRequest,
    array: boolean,
    session: Session,
    running: Running,
  ): Promise<Buffer> {
    const name = session.resolve(request.queue);
    const messages = await session.dequeueBytes(name, request.kind, {
      ...request.options,
      signal: running.controller.signal,
    });
    if (messages.length === 0) throw ora.noMessages(name);
    const { fieldVersion } = this.#host.profile;
    return dequeueAnswer(messages, array, fieldVersion, session.transaction.active);
  }

  #error(error: OraError): Buffer {
    return errorAnswer(this.#host.profile.fieldVersion, {
      inTransaction: this.session?.transaction.active ?? false,
      error,
    });
  }

  // --- break and reset ---

  #interrupt(): void {
    if (this.#breaking) return;
    this.#breaking = true;
    this.#requests.length = 0;
    if (this.#running) {
      this.#running.cancelled = true;
      this.#running.controller.abort(ora.cancelled());
    }
    this.network.sendBreak();
  }

  async #reset(): Promise<void> {
    if (!this.#breaking) return;
    this.network.sendReset();
    // The cancelled call unwinds first, so that the answer tells the transaction's true state.
    await new Promise((resolve) => setImmediate(resolve));
    this.#breaking = false;
    this.network.answer(this.#error(ora.cancelled()));
  }
}

function asOraError(error: unknown): OraError {
  if (error instanceof OraError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof WireError) {
    return new OraError(3115, `unsupported network datatype or representation (emulator: ${text})`);
  }
  return new OraError(20999, `the emulator's statement handler failed: ${text}`);
}

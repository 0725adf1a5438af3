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
import { Reader, WireError, Writer } from "./codec.ts";
import { OraError, ora } from "./errors.ts";
import type { CallName, FaultRules, Moment } from "./faults.ts";
import { lobOperation } from "./lobs.ts";
import { Logon, readLogon } from "./logon.ts";
import { dataTypesAnswer, protocolAnswer, skipFastAuthPrefix } from "./negotiation.ts";
import { Network } from "./packets.ts";
import type { Profile } from "./profiles.ts";
import type { Session, SessionIdentity } from "./session.ts";
import { readExecute } from "./sql.ts";
import { execute } from "./sql-answer.ts";
import type { Statements } from "./statements.ts";
import { type Call, errorAnswer, FUNCTION, MESSAGE, readCall, writeStatus } from "./ttc.ts";
import type { SessionView } from "./views.ts";

/** What a connection needs of the server. */
export interface Host {
  readonly profile: Profile;
  readonly serviceName: string;
  readonly users: ReadonlyMap<string, string>;
  readonly engine: AqEngine;
  readonly statements: Statements;
  readonly faults: FaultRules;
  openSession(identity: SessionIdentity): Session;
  /** Something that `waitFor` may be looking at has changed. */
  changed(): void;
  countRoundTrip(): void;
  removed(connection: Connection): void;
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

export class Connection {
  readonly network: Network;
  session: Session | undefined;
  /** Set: this connection is refused with that ORA- error. */
  refusal: number | undefined;
  readonly #host: Host;
  readonly #requests: Buffer[] = [];
  #logon: Logon | undefined;
  #identity: SessionIdentity | undefined;
  #logonTrips = 0;
  #running: Running | undefined;
  #pumping = false;
  #breaking = false;
  #terminated = false;
  #closed = false;

  constructor(socket: Socket, host: Host) {
    this.#host = host;
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
    const reader = new Reader(payload);
    if (!this.session) {
      this.#handleLogon(reader);
      return;
    }
    let call: Call;
    try {
      call = readCall(reader, this.#host.profile.fieldVersion);
    } catch (error) {
      this.network.answer(this.#error(asOraError(error)));
      return;
    }
    Object.assign(this.session.attributes, call.attributes);
    for (const locators of call.freedLobs) this.session.lobs.free(locators);
    await this.#run(call, this.session);
  }

  // --- logon ---

  #handleLogon(reader: Reader): void {
    this.#logonTrips += 1;
    const { profile } = this.#host;
    switch (reader.peek()) {
      case MESSAGE.protocol:
        this.network.answer(protocolAnswer(profile), true);
        return;
      case MESSAGE.dataTypes:
        this.network.answer(dataTypesAnswer(), true);
        return;
      case MESSAGE.fastAuth: {
        reader.u8();
        skipFastAuthPrefix(reader);
        // The logon inside is encoded as for 19c.
        const answer = this.#phaseOne(readCall(reader, 13));
        this.network.answer(Buffer.concat([protocolAnswer(profile), dataTypesAnswer(), answer]));
        return;
      }
    }
    const call = readCall(reader, profile.fieldVersion);
    if (call.function === FUNCTION.authPhaseOne) this.network.answer(this.#phaseOne(call));
    else if (call.function === FUNCTION.authPhaseTwo) this.#phaseTwo(call);
    else this.network.answer(this.#error(new OraError(1012, "not logged on")));
  }

  #phaseOne(call: Call): Buffer {
    const { user, pairs } = readLogon(call.reader);
    this.#logon = new Logon(user, this.#host.users.get(user));
    this.#identity = {
      user,
      serviceName: this.#host.serviceName,
      program: pairs.get("AUTH_PROGRAM_NM") ?? "",
      machine: pairs.get("AUTH_MACHINE") ?? "",
    };
    return Buffer.concat([this.#logon.challenge(), status(false)]);
  }

  #phaseTwo(call: Call): void {
    const { profile, serviceName } = this.#host;
    try {
      if (!this.#logon || !this.#identity) throw ora.unsupported("logon by token");
      const answer = this.#logon.verify(readLogon(call.reader), profile, serviceName);
      this.session = this.#host.openSession(this.#identity);
      this.session.calls.set("logon", this.#logonTrips);
      this.session.onWait = () => {
        this.#host.changed();
        if (this.#running) this.#hit("waiting", this.#running);
      };
      this.network.answer(Buffer.concat([answer, status(false)]));
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
    let answer: Buffer;
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
    else this.network.answer(answer);
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

  async #dispatch(call: Call, session: Session, running: Running): Promise<Buffer> {
    const { fieldVersion } = this.#host.profile;
    const { reader } = call;
    switch (call.function) {
      case FUNCTION.ping:
      case FUNCTION.pipelineEnd:
        return status(session.transaction.active);
      case FUNCTION.commit:
        this.#commit(session, running);
        return status(false);
      case FUNCTION.rollback:
        session.rollback();
        return status(false);
      case FUNCTION.logoff:
        session.logoff();
        return status(false);
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

function status(inTransaction: boolean): Buffer {
  return writeStatus(new Writer(), inTransaction).finish();
}

function asOraError(error: unknown): OraError {
  if (error instanceof OraError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof WireError) {
    return new OraError(3115, `unsupported network datatype or representation (emulator: ${text})`);
  }
  return new OraError(20999, `the emulator's statement handler failed: ${text}`);
}

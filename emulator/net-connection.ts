/** One client connection: takes requests in order, runs them in a session, sends the answers. */
import type { Socket } from "node:net";
import { answerCall, type CallHost } from "./calls.ts";
import { OraError, ora } from "./errors.ts";
import type { FaultRules, Moment } from "./faults.ts";
import { Reader, WireError } from "./net/codec.ts";
import { Handshake, type SessionIdentity } from "./net/handshake.ts";
import { Network } from "./net/packets.ts";
import { type Call, errorAnswer, FUNCTION, readCall } from "./net/ttc.ts";
import type { Session } from "./session.ts";
import type { CallName, SessionView } from "./views.ts";

/** What a connection needs of the server. */
export interface Host extends CallHost {
  readonly serviceName: string;
  readonly users: ReadonlyMap<string, string>;
  readonly faults: FaultRules;
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

  /** @throws TypeError before logon */
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
      answer = await answerCall(call, this.#host, {
        session,
        signal: running.controller.signal,
        commit: () => this.#commit(session, running),
        listen: (clientId) => {
          const push = (payload: Buffer) => this.network.answer(payload, true);
          this.#stopListening = this.#host.notifications.listen(clientId, push);
        },
      });
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

  #commit(session: Session, running: Running): void {
    this.#hit("before-commit", running);
    session.commit();
    this.#hit("after-commit", running);
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

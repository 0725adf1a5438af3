/** From the first message of a connection to the logged-on session. */

import { OraError, ora } from "../errors.ts";
import { Reader } from "./codec.ts";
import { Logon, readLogon } from "./logon.ts";
import { dataTypesAnswer, protocolAnswer, skipFastAuthPrefix } from "./negotiation.ts";
import type { Profile } from "./profiles.ts";
import { type Call, FUNCTION, MESSAGE, readCall, statusAnswer } from "./ttc.ts";

/** The field version in which the logon inside a fast-auth message is encoded. */
const FAST_AUTH_FIELD_VERSION = 13;

/** Who has logged on, by what the client says of itself. */
export interface SessionIdentity {
  user: string;
  serviceName: string;
  program: string;
  machine: string;
}

export interface HandshakeAnswer {
  payload: Buffer;
  /** This answer carries no end-of-response mark, in any framing. */
  unmarked?: boolean;
  /** Set by the last step: who has logged on. */
  identity?: SessionIdentity;
}

export class Handshake {
  readonly #profile: Profile;
  readonly #serviceName: string;
  readonly #users: ReadonlyMap<string, string>;
  #logon: Logon | undefined;
  #identity: SessionIdentity | undefined;
  #steps = 0;

  constructor(profile: Profile, serviceName: string, users: ReadonlyMap<string, string>) {
    this.#profile = profile;
    this.#serviceName = serviceName;
    this.#users = users;
  }

  /** Requests so far. */
  get steps(): number {
    return this.#steps;
  }

  /** @throws OraError 1017 and what the messages give reason for */
  step(payload: Buffer): HandshakeAnswer {
    this.#steps += 1;
    const reader = new Reader(payload);
    switch (reader.peek()) {
      case MESSAGE.protocol:
        return { payload: protocolAnswer(this.#profile), unmarked: true };
      case MESSAGE.dataTypes:
        return { payload: dataTypesAnswer(), unmarked: true };
      case MESSAGE.fastAuth: {
        reader.u8();
        skipFastAuthPrefix(reader);
        const challenge = this.#phaseOne(readCall(reader, FAST_AUTH_FIELD_VERSION));
        const parts = [protocolAnswer(this.#profile), dataTypesAnswer(), challenge];
        return { payload: Buffer.concat(parts) };
      }
    }
    const call = readCall(reader, this.#profile.fieldVersion);
    if (call.function === FUNCTION.authPhaseOne) return { payload: this.#phaseOne(call) };
    if (call.function === FUNCTION.authPhaseTwo) return this.#phaseTwo(call);
    throw new OraError(1012, "not logged on");
  }

  #phaseOne(call: Call): Buffer {
    const { user, pairs } = readLogon(call.reader);
    this.#logon = new Logon(user, this.#users.get(user));
    this.#identity = {
      user,
      serviceName: this.#serviceName,
      program: pairs.get("AUTH_PROGRAM_NM") ?? "",
      machine: pairs.get("AUTH_MACHINE") ?? "",
    };
    return Buffer.concat([this.#logon.challenge(), statusAnswer(false)]);
  }

  #phaseTwo(call: Call): HandshakeAnswer {
    if (!this.#logon || !this.#identity) throw ora.unsupported("logon by token");
    const answer = this.#logon.verify(readLogon(call.reader), this.#profile, this.#serviceName);
    return {
      payload: Buffer.concat([answer, statusAnswer(false)]),
      identity: this.#identity,
    };
  }
}

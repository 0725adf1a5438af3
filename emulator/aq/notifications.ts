/**
 * AQ notifications (client initiated): a session registers for a queue, and a second connection,
 * opened by the driver with the registration's client id, is told when messages become available.
 */
import { randomBytes } from "node:crypto";
import { ora } from "../errors.ts";
import { type Reader, Writer } from "../net/codec.ts";
import { writeStatus } from "../net/ttc.ts";

const OPERATION = { register: 1, unregister: 2 } as const;
const NAMESPACE_AQ = 1;
const CLIENT_ID_BYTES = 29;
/** Starts the stream of records on the notification connection. */
const STREAM = 13;
const RECORD = { message: 1 } as const;

export interface RegistrationRequest {
  readonly operation: number;
  readonly queue: string;
  readonly registrationId: number;
}

/** The request of `subscribe()`, and of `unsubscribe()`. */
export function readSubscribe(reader: Reader): RegistrationRequest {
  const operation = reader.u8();
  reader.int(); // mode
  const hasUser = reader.u8();
  reader.int();
  const hasClientId = reader.u8();
  reader.int();
  reader.u8();
  reader.skipInts(3);
  reader.skip(9);
  reader.int();
  reader.u8();
  if (hasUser) reader.bytes();
  if (hasClientId) reader.bytes();
  const namespace = reader.int();
  if (namespace !== NAMESPACE_AQ) throw ora.unsupported(`subscription namespace ${namespace}`);
  const queue = reader.sizedText();
  reader.skipInts(9);
  reader.u8();
  reader.int();
  reader.u8();
  reader.skipInts(2);
  return { operation, queue, registrationId: reader.int() };
}

interface Registration {
  readonly id: number;
  readonly queue: string;
  readonly clientId: string;
}

/** Sends bytes that belong to no answer. */
type Push = (payload: Buffer) => void;

export class Notifications {
  readonly #registrations = new Map<number, Registration>();
  readonly #listeners = new Map<string, { push: Push; begun: boolean }>();
  #lastId = 0;

  /** @param queue OWNER.NAME. Answers a registration, or the end of one. */
  subscribe(request: RegistrationRequest, queue: string, inTransaction: boolean): Buffer {
    const writer = new Writer().u8(8);
    if (request.operation === OPERATION.unregister) {
      this.#registrations.delete(request.registrationId);
      return writeStatus(writer.int(0, 0, 0, 0, 0), inTransaction).finish();
    }
    const clientId = randomBytes(CLIENT_ID_BYTES);
    const id = ++this.#lastId;
    this.#registrations.set(id, { id, queue, clientId: clientId.toString("hex") });
    writer.int(0, 1, id, 0, 0, 0).sizedBytes(clientId);
    return writeStatus(writer, inTransaction).finish();
  }

  /** The notification connection of a client. Returns its removal. */
  listen(clientId: Uint8Array, push: Push): () => void {
    const key = Buffer.from(clientId).toString("hex");
    this.#listeners.set(key, { push, begun: false });
    return () => this.#listeners.delete(key);
  }

  /** Messages of the queue became available. */
  available(queue: string): void {
    for (const registration of this.#registrations.values()) {
      const listener = this.#listeners.get(registration.clientId);
      if (registration.queue !== queue || !listener) continue;
      const writer = new Writer();
      if (!listener.begun) writer.u8(STREAM);
      listener.begun = true;
      writer.int(RECORD.message, 0, registration.id).sizedBytes(Buffer.from(queue)).int(0, 0, 0, 0);
      listener.push(writer.finish());
    }
  }
}

/**
 * The NS layer of Oracle Net on one socket: packets, connect and accept, markers, and the faults
 * that belong to the network (freeze, kill, slow answers).
 */
import type { Socket } from "node:net";
import type { Profile } from "./profiles.ts";

const PACKET = { connect: 1, accept: 2, refuse: 4, data: 6, marker: 12 } as const;
const HEADER = 8;
const DATA_HEADER = 10;
const DATA_FLAG = { eof: 0x0040, endOfRequest: 0x0800, endOfResponse: 0x2000 } as const;
const END_OF_RESPONSE = Buffer.from([29]);
const MARKER = { break: 1, reset: 2, interrupt: 3 } as const;
const CONNECT = { sdu: 58, dataLength: 24, dataOffset: 26 } as const;
const MIN_SDU = 512;
const MAX_SDU = 2_097_152;
/** Nothing the driver sends in one packet comes near this: the SDU bounds it. */
const MAX_PACKET = MAX_SDU + DATA_HEADER;

export interface NetworkEvents {
  /** The connect descriptor has arrived: answer with `accept` or `refuse`. */
  connect(descriptor: string): void;
  /** One complete request. */
  request(payload: Buffer): void;
  /** The client wants the running call cancelled. */
  interrupt(): void;
  /** The client has thrown away what was under way and waits for the answer to the cancelled call. */
  reset(): void;
  /** The socket is gone, for whatever reason. Once. */
  closed(): void;
}

export class Network {
  readonly #socket: Socket;
  readonly #profile: Profile;
  readonly #events: NetworkEvents;
  #state: "connecting" | "descriptor" | "accepted" = "connecting";
  #largeLengths = false;
  #sdu = 8192;
  #pending: Buffer = Buffer.alloc(0);
  #request: Buffer[] = [];
  #descriptorLength = 0;
  #frozen = false;
  #closed = false;
  #heldIn: (() => void)[] = [];
  #heldOut: (() => void)[] = [];
  #writes: Promise<void> = Promise.resolve();
  #delayed = 0;
  /** Milliseconds that every answer is held back. */
  delayMs = 0;

  constructor(socket: Socket, profile: Profile, events: NetworkEvents) {
    this.#socket = socket;
    this.#profile = profile;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#inbound(() => this.#receive(chunk)));
    // The listener allows half-open sockets, so that a frozen one does not answer the client's end.
    socket.on("end", () => this.#inbound(() => socket.end()));
    // A reset by the peer: 'close' follows and says all there is to say.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#inbound(() => this.#events.closed());
    });
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** From now on bytes are accepted and go nowhere, in both directions. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Lets everything that was held pass, in order. */
  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    for (const send of this.#heldOut.splice(0)) send();
    while (!this.#frozen) {
      const deliver = this.#heldIn.shift();
      if (!deliver) break;
      deliver();
    }
  }

  #inbound(deliver: () => void): void {
    if (this.#frozen || this.#heldIn.length > 0) this.#heldIn.push(deliver);
    else deliver();
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    while (this.#pending.length >= HEADER && !this.#closed) {
      const length = this.#largeLengths
        ? this.#pending.readUInt32BE(0)
        : this.#pending.readUInt16BE(0);
      if (length < HEADER || length > MAX_PACKET) {
        this.kill();
        return;
      }
      if (this.#pending.length < length) return;
      const packet = this.#pending.subarray(0, length);
      this.#pending = this.#pending.subarray(length);
      this.#packet(packet);
    }
  }

  #packet(packet: Buffer): void {
    const type = packet[4];
    if (this.#state === "connecting" && type === PACKET.connect && packet.length >= 74) {
      this.#connect(packet);
    } else if (type === PACKET.data && packet.length >= DATA_HEADER) {
      this.#data(packet);
    } else if (this.#state === "accepted" && type === PACKET.marker && packet.length > 10) {
      if (packet[10] === MARKER.interrupt) this.#events.interrupt();
      else if (packet[10] === MARKER.reset) this.#events.reset();
    } else {
      this.kill();
    }
  }

  #connect(packet: Buffer): void {
    this.#sdu = Math.min(Math.max(packet.readUInt32BE(CONNECT.sdu), MIN_SDU), MAX_SDU);
    this.#descriptorLength = packet.readUInt16BE(CONNECT.dataLength);
    const offset = packet.readUInt16BE(CONNECT.dataOffset);
    if (packet.length >= offset + this.#descriptorLength) {
      this.#connected(packet.subarray(offset, offset + this.#descriptorLength));
    } else {
      // A long descriptor follows in a DATA packet.
      this.#state = "descriptor";
    }
  }

  #connected(descriptor: Buffer): void {
    this.#state = "accepted";
    this.#events.connect(descriptor.toString("latin1"));
  }

  #data(packet: Buffer): void {
    const flags = packet.readUInt16BE(HEADER);
    if (this.#state === "accepted" && flags & DATA_FLAG.eof) {
      this.#socket.end();
      return;
    }
    this.#request.push(packet.subarray(DATA_HEADER));
    const complete =
      this.#state === "descriptor"
        ? this.#request.reduce((sum, part) => sum + part.length, 0) >= this.#descriptorLength
        : (flags & DATA_FLAG.endOfRequest) !== 0;
    if (!complete) return;
    const payload = this.#request.length === 1 ? this.#request[0]! : Buffer.concat(this.#request);
    this.#request = [];
    if (this.#state === "descriptor") this.#connected(payload);
    else this.#events.request(payload);
  }

  accept(): void {
    const packet = Buffer.alloc(45);
    packet.writeUInt16BE(45, 0);
    packet[4] = PACKET.accept;
    packet.writeUInt16BE(this.#profile.tnsVersion, 8);
    packet.writeUInt16BE(1, 10);
    packet.writeUInt16BE(Math.min(this.#sdu, 0xffff), 12);
    packet.writeUInt16BE(0xffff, 14);
    packet.writeUInt16BE(1, 16);
    packet.writeUInt16BE(45, 20);
    packet[22] = 0x04; // No native network encryption or authentication services,
    packet[23] = 0x08; // which spares their negotiation.
    packet.writeUInt32BE(this.#sdu, 32);
    packet.writeUInt32BE(MAX_SDU, 36);
    packet.writeUInt32BE(this.#profile.acceptFlags, 41);
    this.#largeLengths = true;
    this.#send(packet);
  }

  /** Refuses like a listener, with the number of an ORA- error, and closes. */
  refuse(errorNumber: number): void {
    const text = Buffer.from(
      `(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=${errorNumber})(ERROR_STACK=(ERROR=(CODE=${errorNumber})(EMFI=4))))`,
    );
    const packet = Buffer.alloc(12 + text.length);
    packet.writeUInt16BE(packet.length, 0);
    packet[4] = PACKET.refuse;
    packet[8] = 0x22;
    packet.writeUInt16BE(text.length, 10);
    text.copy(packet, 12);
    this.#send(packet, () => this.#socket.end());
  }

  /** Sends one answer. `unmarked` leaves out the end-of-response mark of the 23ai framing. */
  answer(payload: Buffer, unmarked = false): void {
    this.#send(this.#framed(payload, unmarked));
  }

  /** Sends the first half of an answer, then calls back. */
  halfAnswer(payload: Buffer, sent: () => void): void {
    const bytes = this.#framed(payload, false);
    this.#send(bytes.subarray(0, Math.ceil(bytes.length / 2)), sent);
  }

  #framed(payload: Buffer, unmarked: boolean): Buffer {
    const marked = this.#profile.endOfResponse && !unmarked;
    const body = marked ? Buffer.concat([payload, END_OF_RESPONSE]) : payload;
    const room = this.#sdu - DATA_HEADER;
    const count = Math.max(1, Math.ceil(body.length / room));
    const bytes = Buffer.alloc(body.length + count * DATA_HEADER);
    for (let i = 0, offset = 0; i < count; i++) {
      const part = body.subarray(i * room, (i + 1) * room);
      bytes.writeUInt32BE(part.length + DATA_HEADER, offset);
      bytes[offset + 4] = PACKET.data;
      const last = marked && i === count - 1;
      bytes.writeUInt16BE(last ? DATA_FLAG.endOfResponse : 0, offset + HEADER);
      part.copy(bytes, offset + DATA_HEADER);
      offset += part.length + DATA_HEADER;
    }
    return bytes;
  }

  /** Tells the client that its call is cancelled; it answers with a reset. */
  sendBreak(): void {
    this.#sendMarker(MARKER.break);
  }

  sendReset(): void {
    this.#sendMarker(MARKER.reset);
  }

  #sendMarker(data: number): void {
    this.#send(Buffer.from([0, 0, 0, 11, PACKET.marker, 0, 0, 0, 1, 0, data]));
  }

  #send(bytes: Buffer, sent?: () => void): void {
    const write = () => {
      if (!this.#closed && !this.#socket.destroyed) this.#socket.write(bytes, () => sent?.());
      else sent?.();
    };
    const pass = () => {
      if (this.#frozen) this.#heldOut.push(write);
      else write();
    };
    if (this.delayMs === 0 && this.#delayed === 0) {
      pass();
      return;
    }
    this.#delayed += 1;
    this.#writes = this.#writes
      .then(() => new Promise((resolve) => setTimeout(resolve, this.delayMs)))
      .then(() => {
        this.#delayed -= 1;
        pass();
      });
  }

  /** Closes in good order: what was sent still arrives. */
  end(): void {
    this.#socket.end();
  }

  /** Resets the connection, as a killed server process or a firewall does. */
  kill(): void {
    this.#socket.resetAndDestroy();
  }
}

/**
 * The integers and byte strings of the TTC protocol.
 *
 * ub2, ub4, ub8 and sb4 are one length byte (its high bit marks a negative number) and the
 * magnitude in big-endian order; zero is a single 0x00. A byte string is one length byte and the
 * data, or 0xFE and chunks of (ub4 length, data) that end with a zero length; 0x00 and 0xFF are
 * null. "Sized bytes" carry a ub4 length in front, and the byte string only if it is not zero.
 */

const LONG_LENGTH = 0xfe;
const NULL_LENGTH = 0xff;
const MAX_SHORT_LENGTH = 252;
const CHUNK_BYTES = 32_767;

/** The bytes do not have the layout that the negotiated field version prescribes. */
export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WireError";
  }
}

/** Reads one complete request. Every method throws a `WireError` when the bytes run out. */
export class Reader {
  readonly #buffer: Buffer;
  #offset = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset;
  }

  peek(): number | undefined {
    return this.#buffer[this.#offset];
  }

  /** The next `length` bytes, not copied. */
  raw(length: number): Buffer {
    if (length > this.remaining) {
      throw new WireError(
        `the request ends early: ${length} bytes expected at offset ${this.#offset}, ${this.remaining} left`,
      );
    }
    this.#offset += length;
    return this.#buffer.subarray(this.#offset - length, this.#offset);
  }

  u8(): number {
    return this.raw(1)[0]!;
  }

  /** Skips single bytes: pointers and flags that mean nothing here. */
  skip(length: number): void {
    this.raw(length);
  }

  /** ub2, ub4, ub8 or sb4: their layouts are the same. Exact up to 2^53. */
  int(): number {
    const head = this.u8();
    const size = head & 0x7f;
    if (size > 8) throw new WireError(`an integer of ${size} bytes at offset ${this.#offset}`);
    let value = 0;
    for (const byte of this.raw(size)) value = value * 256 + byte;
    return head & 0x80 ? -value : value;
  }

  /** Skips `count` integers. */
  skipInts(count: number): void {
    for (let i = 0; i < count; i++) this.int();
  }

  /** A byte string; null for both of its null forms. */
  bytes(): Buffer | null {
    const length = this.u8();
    if (length === 0 || length === NULL_LENGTH) return null;
    if (length !== LONG_LENGTH) return this.raw(length);
    const chunks: Buffer[] = [];
    for (let size = this.int(); size > 0; size = this.int()) chunks.push(this.raw(size));
    return Buffer.concat(chunks);
  }

  sizedBytes(): Buffer | null {
    return this.int() > 0 ? this.bytes() : null;
  }

  text(): string {
    return this.bytes()?.toString("utf8") ?? "";
  }

  sizedText(): string {
    return this.sizedBytes()?.toString("utf8") ?? "";
  }
}

/** Builds one answer. Grows as needed; methods return `this` so that a record reads as a line. */
export class Writer {
  #buffer = Buffer.allocUnsafe(512);
  #length = 0;

  #reserve(size: number): number {
    const offset = this.#length;
    this.#length += size;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, offset);
      this.#buffer = grown;
    }
    return offset;
  }

  u8(...values: number[]): this {
    let offset = this.#reserve(values.length);
    for (const value of values) this.#buffer[offset++] = value;
    return this;
  }

  u16(value: number): this {
    const offset = this.#reserve(2);
    this.#buffer.writeUInt16BE(value, offset);
    return this;
  }

  u16le(value: number): this {
    const offset = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, offset);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const offset = this.#reserve(bytes.length);
    this.#buffer.set(bytes, offset);
    return this;
  }

  /** ub2, ub4, ub8 and sb4 of each value; integers up to 2^53. */
  int(...values: number[]): this {
    for (const value of values) {
      if (value >= 0 && value < 256) {
        if (value === 0) this.u8(0);
        else this.u8(1, value);
        continue;
      }
      let magnitude = Math.abs(value);
      const digits: number[] = [];
      for (; magnitude > 0; magnitude = Math.floor(magnitude / 256)) digits.push(magnitude % 256);
      this.u8(digits.length | (value < 0 ? 0x80 : 0), ...digits.reverse());
    }
    return this;
  }

  bytes(value: Uint8Array | null): this {
    if (value === null || value.length === 0) return this.u8(0);
    if (value.length <= MAX_SHORT_LENGTH) return this.u8(value.length).raw(value);
    this.u8(LONG_LENGTH);
    for (let start = 0; start < value.length; start += CHUNK_BYTES) {
      const chunk = value.subarray(start, start + CHUNK_BYTES);
      this.int(chunk.length).raw(chunk);
    }
    return this.int(0);
  }

  sizedBytes(value: Uint8Array | null): this {
    if (value === null || value.length === 0) return this.int(0);
    return this.int(value.length).bytes(value);
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, "utf8"));
  }

  sizedText(value: string): this {
    return this.sizedBytes(Buffer.from(value, "utf8"));
  }

  /** What was written, not copied: write no more afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

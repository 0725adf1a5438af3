/** WebSocket text frames of a server (RFC 6455 section 5.2: FIN set, not masked). */

const TEXT = 0x81;

function headerBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(frame: Buffer, length: number): number {
  frame[0] = TEXT;
  if (length < 126) {
    frame[1] = length;
    return 2;
  }
  if (length < 65_536) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
    return 4;
  }
  frame[1] = 127;
  frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
  frame.writeUInt32BE(length % 2 ** 32, 6);
  return 10;
}

/** Makes the memory for a frame. */
export type Allocate = (bytes: number) => Buffer;

/**
 * A complete frame around `text`.
 * @param allocate for a frame that is kept: not `Buffer.allocUnsafe`, whose slices of a shared pool
 *   keep the whole pool alive
 */
export function textFrame(text: string, allocate: Allocate = Buffer.allocUnsafe): Buffer {
  const length = Buffer.byteLength(text);
  const frame = allocate(headerBytes(length) + length);
  frame.write(text, writeHeader(frame, length), "utf8");
  return frame;
}

/** A complete frame around bytes that are UTF-8; `allocate` as for `textFrame`. */
export function textFrameOf(bytes: Uint8Array, allocate: Allocate = Buffer.allocUnsafe): Buffer {
  const frame = allocate(headerBytes(bytes.length) + bytes.length);
  frame.set(bytes, writeHeader(frame, bytes.length));
  return frame;
}

function textStart(frame: Buffer): number {
  return frame[1] === 127 ? 10 : frame[1] === 126 ? 4 : 2;
}

/** How many bytes a frame built here carries, without its header. */
export function textBytes(frame: Buffer): number {
  return frame.length - textStart(frame);
}

/** What a frame built here carries, without its header. */
export function frameText(frame: Buffer): Buffer {
  return frame.subarray(textStart(frame));
}

/** Frames that are written together. */
export interface Frames {
  readonly frames: readonly Buffer[];
  /** The same, one after the other, in one buffer. */
  readonly joined: Buffer;
  /** What stands before frame `index` in this connection's stream, asked when the frame is written. */
  readonly headOf?: (index: number) => string;
}

/** Nothing to write. */
export const NO_FRAMES: Frames = { frames: [], joined: Buffer.alloc(0) };

/** @param frames at least one; the joined bytes are copied when there are more */
export function joinFrames(frames: readonly Buffer[]): Frames {
  return { frames, joined: frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames) };
}

export function oneFrame(frame: Buffer): Frames {
  return { frames: [frame], joined: frame };
}

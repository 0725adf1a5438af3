/**
 * Memory for the frames of one channel. Node's shared pool would let one old message of a quiet
 * channel keep 8 KiB of others' alive, and memory of its own for each frame is slow to make. A
 * channel evicts its oldest frames first, so a slab of its own is soon free as a whole.
 */

const MAX_SLAB_BYTES = 16 * 1024;
const NOTHING = Buffer.alloc(0);

export class Slab {
  #buffer: Buffer = NOTHING;
  #used = 0;

  /**
   * Memory for one frame.
   * @param kept bytes that the channel keeps; a new slab is not larger, so that at most half of what
   *   a channel holds is waste
   */
  allocate(bytes: number, kept: number): Buffer {
    if (this.#used + bytes > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(kept, MAX_SLAB_BYTES)));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#buffer.subarray(start, this.#used);
  }
}

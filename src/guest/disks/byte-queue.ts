/** Bytes that arrive in pieces and are taken in others. */
export class ByteQueue {
  #pieces: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
  }

  /** Looks at the first bytes without taking them; undefined when there are fewer. */
  peek(size: number): Buffer | undefined {
    if (this.#size < size) return undefined;
    if ((this.#pieces[0]?.length ?? 0) < size) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]?.subarray(0, size) ?? Buffer.alloc(0);
  }

  /** Takes the first bytes; undefined when there are fewer. */
  take(size: number): Buffer | undefined {
    const taken = this.peek(size);
    if (!taken) return undefined;
    const first = this.#pieces[0];
    if (first && first.length > size) this.#pieces[0] = first.subarray(size);
    else this.#pieces.shift();
    this.#size -= size;
    return taken;
  }
}

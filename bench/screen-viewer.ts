import WebSocket from "ws";

/** RFC 6143, 7.7, and the list of rfbproto. */
const COPY_RECTANGLE = 1;
const TIGHT = 7;
const RAW = 0;
/** The pages' viewer asks for these, by its own words "in preference order" (noVNC 1.7: core/rfb.js, _sendEncodings()), and QEMU knows them. */
const ENCODINGS = [COPY_RECTANGLE, TIGHT, RAW];
/** Its quality 6 and its compression 2. */
const SETTINGS = [-32 + 6, -256 + 2];

/** rfbproto, TightVNC's encoding: the upper half of its first byte. */
const FILL = 8;
const JPEG = 9;
const HAS_FILTER = 4;
const PALETTE_FILTER = 1;
/** Shorter data are sent as they are, without their length. */
const LEAST_COMPRESSED = 12;
const TIGHT_PIXEL_BYTES = 3;

/** Somebody who looks at a screen as the pages do: asks for the next change when one has come. Pictures are read, and not unpacked. */
export class ScreenViewer {
  /** Pictures that have come so far. */
  frames = 0;
  /** Bytes that have come so far. */
  bytes = 0;
  readonly #pieces: Buffer[] = [];
  #held = 0;
  #wake = (): void => {};

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (bytes: Buffer) => {
      this.bytes += bytes.length;
      this.#held += bytes.length;
      this.#pieces.push(bytes);
      this.#wake();
    });
  }

  /** Begins to look. @param socket one that a machine's screen is at the other end of */
  static async open(socket: WebSocket): Promise<ScreenViewer> {
    const viewer = new ScreenViewer(socket);
    await viewer.#begin();
    return viewer;
  }

  close(): void {
    this.socket.close();
  }

  async #begin(): Promise<void> {
    this.socket.send(await this.#read(12));
    await this.#read((await this.#read(1))[0]!);
    this.socket.send(Buffer.of(1));
    await this.#read(4);
    this.socket.send(Buffer.of(1));
    const init = await this.#read(24);
    await this.#read(init.readUInt32BE(20));
    this.#chooseEncodings();
    const request = Buffer.alloc(10);
    request[0] = 3;
    init.copy(request, 6, 0, 4);
    this.socket.send(request);
    request[1] = 1;
    void this.#follow(request, init[4]! / 8);
  }

  #chooseEncodings(): void {
    const all = [...ENCODINGS, ...SETTINGS];
    const message = Buffer.alloc(4 + 4 * all.length);
    message[0] = 2;
    message.writeUInt16BE(all.length, 2);
    all.forEach((encoding, index) => message.writeInt32BE(encoding, 4 + 4 * index));
    this.socket.send(message);
  }

  async #follow(request: Buffer, pixelBytes: number): Promise<void> {
    for (;;) {
      const head = await this.#read(4);
      if (head[0] !== 0) throw new Error(`a message of the screen that was not asked for: ${head[0]}`);
      for (let count = head.readUInt16BE(2); count > 0; count--) {
        const place = await this.#read(12);
        const [width, height] = [place.readUInt16BE(4), place.readUInt16BE(6)];
        const encoding = place.readInt32BE(8);
        if (encoding === RAW) await this.#read(width * height * pixelBytes);
        else if (encoding === COPY_RECTANGLE) await this.#read(4);
        else if (encoding === TIGHT) await this.#readTight(width, height);
        else throw new Error(`an encoding that was not asked for: ${encoding}`);
      }
      this.frames++;
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(request);
    }
  }

  async #readTight(width: number, height: number): Promise<void> {
    const kind = (await this.#read(1))[0]! >> 4;
    if (kind === FILL) return void (await this.#read(TIGHT_PIXEL_BYTES));
    if (kind === JPEG) return void (await this.#read(await this.#readLength()));
    if (kind > JPEG) throw new Error(`a kind of Tight that was not asked for: ${kind}`);
    let rowBytes = width * TIGHT_PIXEL_BYTES;
    if ((kind & HAS_FILTER) !== 0 && (await this.#read(1))[0] === PALETTE_FILTER) {
      const colours = (await this.#read(1))[0]! + 1;
      await this.#read(colours * TIGHT_PIXEL_BYTES);
      rowBytes = colours <= 2 ? Math.ceil(width / 8) : width;
    }
    const bytes = rowBytes * height;
    await this.#read(bytes < LEAST_COMPRESSED ? bytes : await this.#readLength());
  }

  /** Reads a length of one to three bytes: seven bits of each, the lowest first. */
  async #readLength(): Promise<number> {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = (await this.#read(1))[0]!;
      length |= (shift === 14 ? byte : byte & 0x7f) << shift;
      if (shift === 14 || byte < 0x80) return length;
    }
  }

  async #read(count: number): Promise<Buffer> {
    while (this.#held < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#held -= count;
    const first = this.#pieces[0];
    if (first !== undefined && first.length > count) {
      this.#pieces[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const taken: Buffer[] = [];
    for (let missing = count; missing > 0;) {
      const piece = this.#pieces.shift()!;
      const part = piece.subarray(0, missing);
      if (part.length < piece.length) this.#pieces.unshift(piece.subarray(missing));
      taken.push(part);
      missing -= part.length;
    }
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
  }
}

import { BadRequestError } from "../errors";

/** The most that a viewer may send without a whole message, in bytes. */
const MOST_WAITING = 64 << 10;
const VERSION_BYTES = 12;
const NO_PASSWORD = 1;
const SHARED = 1;
const UPDATE_REQUEST = 3;

/** The messages of viewers that a machine's screen gets: RFC 6143, 7.5, and rfbproto's list of others. */
const MESSAGES: Readonly<Record<number, { readonly isInput: boolean; getLength(bytes: Buffer): number | undefined }>> =
  {
    /** SetPixelFormat */
    0: { isInput: false, getLength: () => 20 },
    /** SetEncodings */
    2: { isInput: false, getLength: (bytes) => (bytes.length < 4 ? undefined : 4 + 4 * bytes.readUInt16BE(2)) },
    /** FramebufferUpdateRequest */
    [UPDATE_REQUEST]: { isInput: false, getLength: () => 10 },
    /** KeyEvent */
    4: { isInput: true, getLength: () => 8 },
    /** PointerEvent */
    5: { isInput: true, getLength: () => 6 },
    /** EnableContinuousUpdates */
    150: { isInput: false, getLength: () => 10 },
    /** ClientFence */
    248: { isInput: false, getLength: (bytes) => (bytes.length < 9 ? undefined : 9 + bytes[8]!) },
  };

/** Messages that are read and never passed on, by what would come of them. */
const REFUSED: Readonly<Record<number, (bytes: Buffer) => number | undefined>> = {
  /** ClientCutText: the clipboard of who looks is nothing for a guest. */
  6: (bytes) => (bytes.length < 8 ? undefined : 8 + Math.abs(bytes.readInt32BE(4))),
  /** xvp: turning the machine off. */
  250: () => 4,
  /** SetDesktopSize: the guest would see another screen. */
  251: (bytes) => (bytes.length < 8 ? undefined : 8 + 16 * bytes[6]!),
};

/** QEMU's own messages: 0 is a key with its place on the keyboard, 1 is sound. */
const QEMU = 255;
const QEMU_KEY = 0;
const QEMU_SOUND = 1;
const QEMU_KEY_BYTES = 12;

/** Lets through what a viewer of a machine's screen may send. */
export class RfbFilter {
  #rest = Buffer.alloc(0);
  #stage: "version" | "security" | "init" | "messages" = "version";
  /** Of a refused message, in bytes, that is still to come. */
  #skipped = 0;
  /** The viewer's last request for changes of the screen, until it is repeated. */
  #request: Buffer | undefined;

  /** @param mayType whether keys and the pointer reach the machine */
  constructor(private readonly mayType: boolean) {}

  /**
   * Takes bytes of a viewer.
   *
   * @returns the bytes that the machine gets
   * @throws BadRequestError for what is not the protocol
   */
  push(bytes: Uint8Array): Buffer {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    const passed: Buffer[] = [];
    while (this.#rest.length > 0) {
      const message = this.#takeNext();
      if (message === undefined) break;
      passed.push(message);
    }
    if (this.#rest.length > MOST_WAITING) throw new BadRequestError("a message of the viewer never ends");
    return Buffer.concat(passed);
  }

  /**
   * Returns the viewer's last request for changes once more, for the moment in which its answer has begun to come. A viewer asks when it has
   * all of a picture; QEMU, which looks every 30 ms whether there is something to send, finds no request then, and looks more seldom
   * from then on (ui/vnc.c: vnc_refresh()).
   *
   * @returns undefined when there is none, or it was repeated already
   */
  repeatRequest(): Buffer | undefined {
    const request = this.#request;
    this.#request = undefined;
    return request;
  }

  /** Takes the next part; undefined when it has not come as a whole. */
  #takeNext(): Buffer | undefined {
    switch (this.#stage) {
      case "version": {
        const version = this.#take(VERSION_BYTES);
        if (version === undefined) return undefined;
        if (!/^RFB 003\.00[78]\n$/.test(version.toString("latin1"))) throw new BadRequestError("the viewer speaks no RFB 3.7 or 3.8"); // prettier-ignore
        this.#stage = "security";
        return version;
      }
      case "security": {
        const kind = this.#take(1)!;
        if (kind[0] !== NO_PASSWORD) throw new BadRequestError("the viewer wants a password where there is none");
        this.#stage = "init";
        return kind;
      }
      case "init":
        this.#take(1);
        this.#stage = "messages";
        // Nobody who looks shuts others out.
        return Buffer.of(SHARED);
      case "messages":
        return this.#takeMessage();
    }
  }

  #takeMessage(): Buffer | undefined {
    if (this.#skipped > 0) {
      const count = Math.min(this.#skipped, this.#rest.length);
      this.#take(count);
      this.#skipped -= count;
      return Buffer.alloc(0);
    }
    const kind = this.#rest[0]!;
    const refused = REFUSED[kind];
    if (refused !== undefined) return this.#skip(refused(this.#rest));
    if (kind === QEMU) return this.#takeOfQemu();
    const known = MESSAGES[kind];
    if (known === undefined) throw new BadRequestError(`the viewer sends a message that is not known here: ${kind}`);
    const length = known.getLength(this.#rest);
    const message = length === undefined ? undefined : this.#take(length);
    // Its second byte says whether changes are enough.
    if (kind === UPDATE_REQUEST && message !== undefined) this.#request = message[1] === 1 ? message : undefined;
    return message !== undefined && known.isInput && !this.mayType ? Buffer.alloc(0) : message;
  }

  #takeOfQemu(): Buffer | undefined {
    if (this.#rest.length < 4) return undefined;
    const kind = this.#rest[1]!;
    // Its operation 2 has a format; 0 and 1 have nothing.
    if (kind === QEMU_SOUND) return this.#skip(this.#rest.readUInt16BE(2) === 2 ? 10 : 4);
    if (kind !== QEMU_KEY) throw new BadRequestError(`the viewer sends a message of QEMU that is not known here: ${kind}`); // prettier-ignore
    const message = this.#take(QEMU_KEY_BYTES);
    return message !== undefined && !this.mayType ? Buffer.alloc(0) : message;
  }

  /** Begins to leave out a message. @param length of it; undefined when it is not known yet */
  #skip(length: number | undefined): Buffer | undefined {
    if (length === undefined) return undefined;
    this.#skipped = length;
    return Buffer.alloc(0);
  }

  #take(length: number): Buffer | undefined {
    if (this.#rest.length < length) return undefined;
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

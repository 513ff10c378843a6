import { AddressError } from "../../errors";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { readKeyPath } from "../registry/key-path";
import { readUnicodeString } from "../structs/unicode-string";

/** OB_INFOMASK_NAME: the object has a name; the optional header before it in memory order has the bit 1. */
const HAS_NAME = 2;
const NAME_AND_BEFORE = 3;
const MOST_TYPES = 256;

/** Reads what objects of the kernel are, by their headers. Made for one list: it remembers the names of types. */
export class ObjectReader {
  readonly #kernel: WindowsKernel;
  readonly #types = new Map<bigint, string>();
  readonly #body: bigint;

  /** @throws MissingTypeError */
  constructor(kernel: WindowsKernel) {
    this.#kernel = kernel;
    this.#body = BigInt(kernel.place("_OBJECT_HEADER", "Body").offset);
  }

  /** Gets the address of an object of which the header is known. */
  bodyOf(header: bigint): bigint {
    return header + this.#body;
  }

  /**
   * Reads the name of an object's type, as "File". Since Windows 7 it is a number, since 10 one that is hidden behind a cookie and the
   * header's address.
   *
   * @param header the address of its _OBJECT_HEADER
   * @throws AddressError when it cannot be read
   */
  readType(header: bigint): string {
    const { memory } = this.#kernel;
    const object = this.#kernel.at("_OBJECT_HEADER", header);
    if (!object.has("TypeIndex")) return this.#nameOf(object.value("Type"));
    const cookie = this.#kernel.findSymbol("ObHeaderCookie");
    const mask = cookie === undefined ? 0n : BigInt(memory.u8(cookie)) ^ ((header >> 8n) & 0xffn);
    const index = (object.value("TypeIndex") ^ mask) & 0xffn;
    if (index >= BigInt(MOST_TYPES)) return "";
    const place = this.#kernel.symbol("ObTypeIndexTable") + index * BigInt(memory.pointerSize);
    return this.#nameOf(memory.pointer(place));
  }

  /** Reads an object's name: of a file its path on its volume, of a key that in the registry; empty without one. @throws AddressError */
  readName(header: bigint, type: string): string {
    const { memory } = this.#kernel;
    if (type === "File") {
      return readUnicodeString(this.#kernel.at("_FILE_OBJECT", this.bodyOf(header)).member("FileName"), memory);
    }
    if (type === "Key") return readKeyPath(this.#kernel, this.bodyOf(header));
    const object = this.#kernel.at("_OBJECT_HEADER", header);
    const table = this.#kernel.findSymbol("ObpInfoMaskToOffset");
    if (table === undefined || !object.has("InfoMask")) return "";
    const mask = object.number("InfoMask");
    if ((mask & HAS_NAME) === 0) return "";
    const distance = memory.u8(table + BigInt(mask & NAME_AND_BEFORE));
    const info = this.#kernel.at("_OBJECT_HEADER_NAME_INFO", header - BigInt(distance));
    return readUnicodeString(info.member("Name"), memory);
  }

  #nameOf(type: bigint): string {
    let name = this.#types.get(type);
    if (name === undefined) {
      try {
        name = readUnicodeString(this.#kernel.at("_OBJECT_TYPE", type).member("Name"), this.#kernel.memory);
      } catch (error) {
        if (!(error instanceof AddressError)) throw error;
        name = "";
      }
      this.#types.set(type, name);
    }
    return name;
  }
}

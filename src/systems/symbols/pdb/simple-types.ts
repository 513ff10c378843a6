import type { GuestType } from "../guest-type";

/** The types that have no record (https://llvm.org/docs/PDB/TpiStream.html, type indices): name, size, and for integers the sign. */
const NUMBERS: Readonly<
  Record<number, readonly [name: string, size: number, isSigned: boolean, meaning?: "char" | "bool"]>
> = {
  0x08: ["HRESULT", 4, false],
  0x10: ["signed char", 1, true, "char"],
  0x11: ["short", 2, true],
  0x12: ["long", 4, true],
  0x13: ["long long", 8, true],
  0x14: ["__int128", 16, true],
  0x20: ["unsigned char", 1, false, "char"],
  0x21: ["unsigned short", 2, false],
  0x22: ["unsigned long", 4, false],
  0x23: ["unsigned long long", 8, false],
  0x24: ["unsigned __int128", 16, false],
  0x30: ["bool", 1, false, "bool"],
  0x31: ["bool16", 2, false, "bool"],
  0x32: ["bool32", 4, false, "bool"],
  0x33: ["bool64", 8, false, "bool"],
  0x68: ["int8", 1, true],
  0x69: ["unsigned int8", 1, false],
  0x70: ["char", 1, true, "char"],
  0x71: ["wchar", 2, true],
  0x72: ["short", 2, true],
  0x73: ["unsigned short", 2, false],
  0x74: ["int", 4, true],
  0x75: ["unsigned int", 4, false],
  0x76: ["long long", 8, true],
  0x77: ["unsigned long long", 8, false],
  0x78: ["__int128", 16, true],
  0x79: ["unsigned __int128", 16, false],
  0x7a: ["char16_t", 2, false],
  0x7b: ["char32_t", 4, false],
  0x7c: ["char8_t", 1, false, "char"],
};
const FLOATS: Readonly<Record<number, readonly [name: string, size: number]>> = {
  0x40: ["float", 4],
  0x41: ["double", 8],
  0x42: ["long double", 10],
};
const VOID: GuestType = { kind: "void", size: 0 };
const VOID_KIND = 0x03;
const NO_TYPE = 0x00;
/** The sizes of pointers by their mode, bits 8 to 11 of the number; those with segments are older than what rebox reads. */
const POINTER_SIZES: Readonly<Record<number, number>> = { 4: 4, 6: 8 };

/** Makes the type that a number below 0x1000 stands for. */
export function makeSimpleType(index: number): GuestType {
  const mode = (index >> 8) & 0xf;
  const target = makeTarget(index & 0xff);
  if (mode === 0) return target;
  const size = POINTER_SIZES[mode];
  if (size === undefined) return { kind: "incomplete", name: `type 0x${index.toString(16)}`, size: 0 };
  return { kind: "pointer", size, target };
}

function makeTarget(kind: number): GuestType {
  if (kind === VOID_KIND || kind === NO_TYPE) return VOID;
  const float = FLOATS[kind];
  if (float) return { kind: "float", name: float[0], size: float[1] };
  const number = NUMBERS[kind];
  if (!number) return { kind: "incomplete", name: `type 0x${kind.toString(16)}`, size: 0 };
  const [name, size, isSigned, meaning = "number"] = number;
  return { kind: "integer", name, size, isSigned, meaning };
}

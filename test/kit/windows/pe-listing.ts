import { execFileSync } from "node:child_process";
import type { UnwindCode } from "../../../src/systems/windows/images/unwind-codes";

function dump(path: string, ...parts: string[]): string {
  return execFileSync("llvm-readobj", [...parts, path], { encoding: "utf8", maxBuffer: 1 << 28 });
}

const number = (text: string, name: string): number =>
  Number(new RegExp(`\\b${name}: (0x[0-9A-F]+|\\d+)`).exec(text)![1]);

/** Reads facts of an image's header with llvm-readobj. */
export function listHeader(path: string): Record<"timeDateStamp" | "imageSize" | "entryPoint" | "sections", number> {
  const text = dump(path, "--file-headers");
  return {
    timeDateStamp: Number(/TimeDateStamp: .*\((0x[0-9A-F]+)\)/.exec(text)![1]),
    imageSize: number(text, "SizeOfImage"),
    entryPoint: number(text, "AddressOfEntryPoint"),
    sections: number(text, "SectionCount"),
  };
}

/** Lists an image's sections with llvm-readobj. */
export function listSections(path: string): { readonly name: string; readonly rva: number; readonly size: number }[] {
  return dump(path, "--sections")
    .split("Section {")
    .slice(1)
    .map((text) => ({
      name: /Name: (\S+)/.exec(text)![1]!,
      rva: number(text, "VirtualAddress"),
      size: number(text, "VirtualSize"),
    }));
}

/** Lists an image's exports with llvm-readobj: number, name and RVA, which for those of other images is that of a text. */
export function listExports(path: string): string[] {
  return (
    dump(path, "--coff-exports")
      .split("Export {")
      .slice(1)
      // Numbers that nothing has are listed too, without an address.
      .filter((text) => /RVA: 0x[0-9A-F]*[1-9A-F]/.test(text))
      .map((text) => {
        const name = /Name: (.*)/.exec(text)?.[1]?.trim() ?? "";
        return `${number(text, "Ordinal")} ${name} at ${number(text, "RVA")}`;
      })
  );
}

const REGISTERS = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split(" ");

/** Writes an unwind code as llvm-readobj does. */
export function describeCode({ codeOffset, step, register, bytes }: UnwindCode): string {
  const at = `0x${codeOffset.toString(16).toUpperCase().padStart(2, "0")}`;
  const offset = `offset=0x${bytes.toString(16).toUpperCase()}`;
  switch (step) {
    case "push register":
      return `${at}: PUSH_NONVOL reg=${REGISTERS[register]}`;
    case "allocate":
      return `${at}: ALLOC size=${bytes}`;
    case "set frame register":
      return `${at}: SET_FPREG`;
    case "save register":
      return `${at}: SAVE_NONVOL reg=${REGISTERS[register]}, ${offset}`;
    case "save xmm register":
      return `${at}: SAVE_XMM128 reg=XMM${register}, ${offset}`;
    default:
      return `${at}: ${step}`;
  }
}

/** Lists each function of an image with its unwind codes, with llvm-readobj, in the words of describeCode(). */
export function listUnwinding(path: string): string[] {
  return dump(path, "--unwind")
    .split("RuntimeFunction {")
    .slice(1)
    .map((text) => {
      const address = (name: string): number => Number(new RegExp(`${name}: .*?\\((0x[0-9A-F]+)\\)`).exec(text)![1]);
      const codes = [...text.matchAll(/^\s+(0x[0-9A-F]+: .*)$/gm)].map(([, code]) =>
        code!
          .replace(/ALLOC_(SMALL|LARGE) /, "ALLOC ")
          .replace(/_FAR /, " ")
          .replace(/SET_FPREG.*/, "SET_FPREG")
          .trim(),
      );
      const base = 0x140000000;
      const toRva = (value: number): number => (value >= base ? value - base : value);
      return `${toRva(address("StartAddress"))} ${toRva(address("EndAddress"))} ${codes.join("; ")}`;
    });
}

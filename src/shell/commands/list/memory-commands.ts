import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import { parseBytes } from "../arguments/typed-values";
import { evaluate } from "../arguments/expression";
import {
  readGuestBytes,
  writeExactly,
  getSize,
  type MemoryRange,
  parsePlace,
  parseRange,
} from "../arguments/memory-place";
import { dumpMemory } from "../rendering/memory-dump";
import { parseDump, runDump, type WantedDump } from "./image-commands";

/** The default size, in bytes. */
const DEFAULT_SIZE = 512;
const LARGEST_DUMP = 0x100000;

const DISPLAYS = [
  { name: "db", width: 1, what: "bytes" },
  { name: "dw", width: 2, what: "words of 2 bytes" },
  { name: "dd", width: 4, what: "words of 4 bytes" },
  { name: "dq", width: 8, what: "words of 8 bytes" },
  { name: "dp", width: undefined, what: "words of the size of an address" },
] as const;

const EDITS = [
  { name: "eb", width: 1, what: "bytes" },
  { name: "ew", width: 2, what: "words of 2 bytes" },
  { name: "ed", width: 4, what: "words of 4 bytes" },
  { name: "eq", width: 8, what: "words of 8 bytes" },
] as const;

function splitAssignment(command: string, text: string): [place: string, value: string] {
  const at = text.indexOf("=");
  if (at < 0) throw new CommandError(`${command} needs [p]ADDRESS=VALUE; see: help ${command}`);
  return [text.slice(0, at), text.slice(at + 1).trim()];
}

export const MEMORY_COMMANDS: readonly Command[] = [
  ...DISPLAYS.map(({ name, width: fixedWidth, what }) =>
    defineCommand({
      name,
      usage: "[p]ADDRESS[:COUNT]",
      help: `Shows memory as ${what}; ?? is what cannot be read. COUNT is of elements; without it ${DEFAULT_SIZE} bytes are shown.`,
      parse: (input, session) => parseRange(input.get("an address"), session),
      run: (range, session) => {
        const width = fixedWidth ?? session.pointerSize;
        const size = width * getSize(range, DEFAULT_SIZE / width, LARGEST_DUMP / width);
        const memory = readGuestBytes(range, session.pgd, size);
        return dumpMemory({
          address: range.address,
          memory,
          width,
          pointerSize: session.pointerSize,
          namer: session.createNamer(),
        });
      },
    }),
  ),
  defineCommand({
    name: "dump",
    usage: "[p]ADDRESS[:SIZE] | FOLDER/FILE [OPTIONS]",
    help: `Shows memory as bytes and text; ?? is what cannot be read. SIZE is in bytes; ${DEFAULT_SIZE} without it.\nWith the path of a file it is dump_memory.`,
    parse: (input, session): MemoryRange | WantedDump => {
      const word = input.get("an address, or a file");
      // A symbol may be named with the path of its library.
      return word.includes("/") && !word.includes("!") ? parseDump(input, word) : parseRange(word, session);
    },
    run: (wanted, session) => {
      if ("path" in wanted) return runDump(wanted, session);
      const memory = readGuestBytes(wanted, session.pgd, getSize(wanted, DEFAULT_SIZE, LARGEST_DUMP));
      return dumpMemory({
        address: wanted.address,
        memory,
        width: 1,
        pointerSize: session.pointerSize,
        namer: session.createNamer(),
      });
    },
  }),
  ...EDITS.map(({ name, width, what }) =>
    defineCommand({
      name,
      isForLiving: true,
      usage: "[p]ADDRESS=VALUE [VALUE ...]",
      help: `Writes ${what}, little endian, whatever the permissions of the pages are.`,
      parse: (input, session) => {
        const [place, values] = splitAssignment(name, input.rest());
        const numbers = values.split(/\s+/).map((value) => evaluate(value, session));
        const tooLarge = numbers.find((value) => BigInt.asUintN(width * 8, value) !== value);
        if (tooLarge !== undefined)
          throw new CommandError(`0x${tooLarge.toString(16)} does not fit into ${width} bytes`);
        const bytes = Buffer.alloc(width * numbers.length);
        numbers.forEach((value, index) => {
          for (let at = 0; at < width; at++) bytes[index * width + at] = Number((value >> BigInt(at * 8)) & 0xffn);
        });
        return { place: parsePlace(place, session), bytes };
      },
      run: ({ place, bytes }, session) => {
        writeExactly(place, session.pgd, bytes);
        return {
          kind: "data",
          text: `${bytes.length} bytes written`,
          data: { address: place.address, size: bytes.length },
        };
      },
    }),
  ),
  defineCommand({
    name: "write",
    isForLiving: true,
    usage: '[p]ADDRESS=HEX | "text" | u"text"',
    help: 'Writes bytes: pairs of hexadecimal digits, "text", or u"text" for UTF-16. All of them, or none when a page is not there.',
    parse: (input, session) => {
      const [place, value] = splitAssignment("write", input.rest());
      return { place: parsePlace(place, session), bytes: parseBytes(value) };
    },
    run: ({ place, bytes }, session) => {
      writeExactly(place, session.pgd, bytes);
      return {
        kind: "data",
        text: `${bytes.length} bytes written`,
        data: { address: place.address, size: bytes.length },
      };
    },
  }),
];

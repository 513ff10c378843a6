import { dumpMemory, type DumpMemoryOptions } from "../../../guest/images/dump-memory";
import { IMAGE_FORMATS, type ImageFormat } from "../../../systems/memory/images/image-layout";
import { type Command, defineCommand, type CommandInput } from "../command";
import { CommandError } from "../../errors";
import type { DataResult } from "../command-result";
import type { CommandSession } from "../command-session";

const MIB = 0x100000;
const NOTICE_MS = 1000;

/** A dump that was asked for, and its file. */
export interface WantedDump extends Pick<DumpMemoryOptions, "format" | "isCompressed" | "replaces" | "isLive"> {
  readonly path: string;
}

/**
 * Reads the options of a dump, behind the file's name.
 *
 * @throws CommandError
 */
export function parseDump(input: CommandInput, file: string): WantedDump {
  let format: ImageFormat = "elf";
  const flags = { isCompressed: false, replaces: false, isLive: false };
  for (let word = input.find(); word !== undefined; word = input.find()) {
    if (word === "--format") format = readFormat(input.get("raw, elf or lime"));
    else if (word === "--zstd") flags.isCompressed = true;
    else if (word === "--force") flags.replaces = true;
    else if (word === "--live") flags.isLive = true;
    else throw new CommandError(`${input.command} has no use for "${word}"; see: help dump_memory`);
  }
  return { path: file.replace(/^(["'])(.*)\1$/s, "$2"), format, ...flags };
}

function readFormat(text: string): ImageFormat {
  const format = IMAGE_FORMATS.find((name) => name === text);
  if (!format) throw new CommandError(`there is no format ${text}: it is one of ${IMAGE_FORMATS.join(", ")}`);
  return format;
}

/** Dumps the guest's memory, reports the progress to the session, and stops when the session ends or is interrupted. */
export async function runDump({ path, ...options }: WantedDump, session: CommandSession): Promise<DataResult> {
  const stop = new AbortController();
  const owned = session.owner.own(() => stop.abort());
  session.cancel = () => stop.abort();
  let told = performance.now();
  const onProgress = (done: number, total: number): void => {
    if (performance.now() - told < NOTICE_MS || done === total) return;
    told = performance.now();
    const text = `${Math.floor((done / total) * 100)} % of ${Math.round(total / MIB)} MiB`;
    session.onNotice?.({ text, data: { done, total } });
  };
  try {
    const {
      path: file,
      format,
      memorySize,
      fileSize,
    } = await dumpMemory(path, {
      ...{ ...options, onProgress, signal: stop.signal },
    });
    const size = `${(fileSize / MIB).toFixed(fileSize < 100 * MIB ? 1 : 0)} MiB`;
    return {
      kind: "data",
      text: `${file}: ${Math.round(memorySize / MIB)} MiB of memory, ${format}, ${size}`,
      data: { path: file, format, memorySize, fileSize },
    };
  } finally {
    session.cancel = undefined;
    owned.release();
  }
}

export const IMAGE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "dump_memory",
    isForLiving: true,
    usage: "FILE [--format raw|elf|lime] [--zstd] [--force] [--live]",
    help: "Writes the guest's memory into a file; the guest stands still meanwhile. dump does the same for a FILE with a / in it.\n--format: elf, with registers, by default. --zstd: compressed. --force: replaces a file. --live: the guest runs on meanwhile.",
    parse: (input) => {
      const file = input.get("a file");
      return parseDump(input, file);
    },
    run: runDump,
  }),
];

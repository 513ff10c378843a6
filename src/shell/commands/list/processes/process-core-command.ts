import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { writeProcessCore } from "../../../../guest/artefacts/process-core";
import { getGuest } from "../../../../guest/guest";
import { getLinuxProcess } from "../../arguments/process-choice";
import { type Command, defineCommand } from "../../command";
import { CommandError } from "../../../errors";

const MIB = 0x100000;
/** Of memory: the guest is paused until it is written. */
const MOST_BYTES = 16384 * MIB;

export const PROCESS_CORE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "dump_process",
    isForLiving: true,
    usage: "PROCESS FILE",
    help: "Writes the memory of a process into a file, as an ELF core that gdb opens: registers of all threads, mappings, pages in RAM.\nThe guest is paused in the meantime. The file must not be there yet.",
    parse: (input) => ({ process: input.get("a process"), path: resolve(input.get("a file").replace(/^(["'])(.*)\1$/s, "$2")) }), // prettier-ignore
    run: ({ process: wanted, path }, session) => {
      if (existsSync(path)) throw new CommandError(`${path} is there already; choose another file`);
      const process = getLinuxProcess(wanted, session);
      const { memory, threads } = writeProcessCore(getGuest(), process, path, { mostBytes: MOST_BYTES });
      return {
        kind: "data",
        text: `${path}: ${(memory / MIB).toFixed(1)} MiB of memory of ${process.name} (${process.pid}), ${threads} threads`,
        data: { path, memory, threads, pid: process.pid },
      };
    },
  }),
];

/** Observes the guest as an analysis does with its usual modules, or does not: observation observed|unobserved FOLDER <QEMU's arguments> */

import { join } from "node:path";
import type { ArtefactOptions } from "../../modules/auxiliary/engine/artefacts";
import type { ProcessOptions } from "../../modules/auxiliary/engine/processes";
import type { SyscallOptions } from "../../modules/auxiliary/engine/syscalls";
import { doors } from "../../src/doors/doors";
import { CommandSession } from "../../src/shell/commands/command-session";
import { GuestObservationFile } from "../../src/shell/commands/guest-observer";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

const MODULES = join(__dirname, "../../../../modules");

/** The files that observe the guest in an analysis, with what their modules give them by default. */
function listObservers(folder: string): readonly (readonly [file: string, options: object])[] {
  const processes: ProcessOptions = { mostProgramBytes: 64 << 20 };
  const calls: SyscallOptions = {
    ...{ file: join(folder, "syscalls.log"), mostBytes: 64 << 20, whose: "target", calls: [] },
    ...{ mostActs: 10_000, mostStacks: 100 },
  };
  const artefacts: ArtefactOptions = {
    ...{ folder: join(folder, "files"), coreFolder: join(folder, "cores"), mostVersions: 10, mostFiles: 1000 },
    ...{ mostFileBytes: 100 << 20, mostBytes: 1 << 30, mostCores: 0, mostCoreBytes: 0, mostAllCoreBytes: 0 },
    ...{ codeFolder: join(folder, "code"), mostCode: 20, mostCodeBytes: 64 << 20, mostAllCodeBytes: 512 << 20 },
  };
  return [
    ["analysis/follow-target.ts", { mark: "REBOX_RUN=bench" }],
    ["auxiliary/engine/processes.ts", processes],
    ["auxiliary/engine/syscalls.ts", calls],
    ["auxiliary/engine/artefacts.ts", artefacts],
  ];
}

async function main([variant, folder = "", ...argv]: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  let told = 0;
  if (variant === "observed") {
    const session = new CommandSession(doors);
    session.onNotice = () => void told++;
    for (const [file, options] of listObservers(folder)) {
      await GuestObservationFile.load(join(MODULES, file), { ...options }, session);
    }
  }
  process.send?.({});
  await waitToProceed();
  process.send?.({ told });
}

void main(process.argv.slice(2));

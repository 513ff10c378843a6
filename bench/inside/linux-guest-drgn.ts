/** Lists the processes of a paused guest, and leaves its memory for another to do the same: linux-guest-drgn FOLDER <QEMU's arguments> */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { getGuest, getProcessList, type LinuxGuest } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export interface ProcessListReport {
  /** In CPU time of this process, all threads: to attach and list, and of one list of each round. */
  readonly firstMs: number;
  readonly listMs: readonly number[];
  /** pid, ppid, name, and the address of the task_struct. */
  readonly processes: readonly (readonly [number, number, string, string])[];
}

export const ROUNDS = 9;
export const LISTS = 20;

function timeCpu(call: () => void): number {
  const before = process.cpuUsage();
  call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** What the kernel says about itself for whoever reads its memory after a crash (Documentation/admin-guide/kdump/vmcoreinfo.rst). */
function readVmcoreinfo({ kernel }: LinuxGuest): Buffer {
  const [data, size] = ["vmcoreinfo_data", "vmcoreinfo_size"].map((name) => kernel.memory.pointer(kernel.symbol(name)));
  return kernel.memory.read(data as bigint, Number(size));
}

async function main([folder = "", ...argv]: readonly string[]): Promise<void> {
  process.env["XDG_CACHE_HOME"] = folder;
  const engine = createMachine(argv);
  engine.run();
  await waitToProceed();
  await engine.pause();
  const firstMs = timeCpu(() => void getProcessList());
  const listMs = Array.from({ length: ROUNDS }, () => {
    const cpuMs = timeCpu(() => {
      for (let turn = 0; turn < LISTS; turn++) getProcessList();
    });
    return cpuMs / LISTS;
  });
  const processes = getProcessList().map(({ pid, ppid, name, kaddr }) => [pid, ppid, name, String(kaddr)] as const);
  writeFileSync(join(folder, "vmcoreinfo"), readVmcoreinfo(getGuest()));
  await engine.qmp("dump-guest-memory", { paging: false, protocol: `file:${join(folder, "core")}` });
  const report: ProcessListReport = { firstMs, listMs, processes };
  process.send?.(report);
}

if (require.main === module) void main(process.argv.slice(2));

/** Tells what the programs of a Windows guest do; for the module `syscalls`. */
import { findSystem, type WindowsGuest, type WindowsProcess } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findWindowsScope, onWindowsTargetBegin } from "rebox/trusted";
import { type ToldAct, WindowsActWatcher } from "../../../scripts/_windows_act_watcher";
import { whenSystemIsKnown } from "../../../scripts/_when_system";
import type { SyscallOptions, SyscallResult } from "./syscalls";

/** Ways to have code of one's own executed by another process; the others change nothing in it. */
const ADOPTING =
  /^Nt(WriteVirtualMemory|CreateThread(Ex)?|MapViewOfSection(Ex)?|QueueApcThread(Ex2?)?|SetContextThread)$/;

export function observe({ callbacks, options, tell }: GuestObserver): () => SyscallResult {
  const { whose, mostActs } = options as unknown as SyscallOptions;
  const told = { target: 0, system: 0 };
  /** Those that were there before, by number, where only new ones are asked for. */
  const old = new Set<number>();
  const isWanted = ({ pid }: WindowsProcess): boolean =>
    whose === "target" ? findWindowsScope()?.findOrigin(pid) !== undefined : !old.has(pid) || isOfTarget(pid);
  const watcher = new WindowsActWatcher(callbacks, isWanted, (process, act) => {
    const { pid, name } = process;
    adopt(process, act);
    const kind = isOfTarget(pid) ? "target" : "system";
    if (told[kind] > mostActs) return;
    // "full" once, in place of the first that is left out.
    if (told[kind]++ === mostActs) tell({ act: "full", whose: kind });
    else tell({ ...act, pid, process: name });
  });
  const hook = (): void => {
    const system = findSystem();
    if (system?.kind !== "windows" || system.bits !== 64) {
      throw new Error(
        "the guest runs no Windows of 64 bits whose symbols rebox has, so that nothing is told of its programs",
      );
    }
    if (whose === "new") for (const { pid } of system.getProcessList()) old.add(pid);
    watcher.hook(system as WindowsGuest);
  };
  const forget = whose === "target" ? onWindowsTargetBegin(hook) : undefined;
  if (whose !== "target") whenSystemIsKnown(callbacks, hook);
  return () => {
    // The hooks end with the observation.
    forget?.();
    return { processes: [], recorded: 0, cut: 0 };
  };
}

function isOfTarget(pid: number): boolean {
  return findWindowsScope()?.findOrigin(pid) !== undefined;
}

/** Takes a process into the scope that the target has changed: it acts for the target from then on. */
function adopt({ pid }: WindowsProcess, { act, target, way }: ToldAct): void {
  const scope = findWindowsScope();
  if (act !== "process.injected" || !ADOPTING.test(String(way)) || scope?.findOrigin(pid) === undefined) return;
  const other = (findSystem() as WindowsGuest | undefined)?.findProcess(Number(target));
  if (other !== undefined) scope.adopt(other, pid, String(way));
}

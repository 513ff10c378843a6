import { Engine } from "../../machine/engine/engine";
import { JournalPlace, type NativeJournalLayout } from "../../machine/engine/native";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { CurrentTask } from "../events/current-task";
import type { HookCallbacks } from "./scope-hooks";
import type { ScopeConditions } from "./scope-conditions";

/** What the system's processes did, with the functions of the kernel where it is noted. */
const PLACES = [
  // kernel/fork.c: (task), complete and not yet run.
  [JournalPlace.Begin, ["wake_up_new_task"]],
  // fs/exec.c: (linux_binprm); before 4.17 (task) of drivers/connector/cn_proc.c, which knows no path.
  [JournalPlace.Program, ["finalize_exec", "proc_exec_connector"]],
  // kernel/exit.c.
  [JournalPlace.End, ["do_exit"]],
] as const;

/** An act of a process of the system. */
export interface JournalNote {
  readonly what: "begins" | "runs" | "ends";
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  /** The path of the program as it was given to execve(2), of a script that of its interpreter; "" where nothing is executed. */
  readonly path: string;
  readonly words: readonly string[];
  /** CLOCK_MONOTONIC, in milliseconds. */
  readonly timeMs: number;
}

/**
 * Notes the processes of the system that are not in a scope, without a call into JavaScript, and has them taken from time to time. There is one journal for each engine.
 */
export class ProcessJournal {
  /** Notes that there was no place for, since they were taken last. */
  lost = 0;

  constructor(
    private readonly guest: LinuxGuest,
    private readonly conditions: ScopeConditions,
  ) {}

  /** Hooks the kernel. @returns the functions that this kernel lacks, without which something is not noted */
  hook(callbacks: HookCallbacks): string[] {
    const { kernel } = this.guest;
    const missing: string[] = [];
    const told = [this.conditions.living, this.conditions.ending] as const;
    for (const [place, names] of PLACES) {
      const function_ = names.find((name) => kernel.findSymbol(name) !== undefined);
      if (function_ === undefined) {
        missing.push(...names);
        continue;
      }
      const name = callbacks.addCallback("BLOCK_BEGIN_CB", () => undefined, { addr: kernel.symbol(function_) });
      callbacks.setJournal(name, place, this.#layout(function_ === "finalize_exec"), told);
    }
    return missing;
  }

  /** Takes what was noted since the last time, in its order. */
  take(): JournalNote[] {
    const [notes, lost] = Engine.get().native.takeProcessJournal();
    this.lost += lost;
    return notes.map(([place, pid, ppid, name, path, words, timeMs]) => ({
      what: place === JournalPlace.Begin ? "begins" : place === JournalPlace.End ? "ends" : "runs",
      ...{ pid, ppid, name, path, timeMs },
      words: words === "" ? [] : words.replace(/\0$/, "").split("\0"),
    }));
  }

  #layout(knowsPath: boolean): NativeJournalLayout {
    const { kernel, tasks } = this.guest;
    const { flags, mm, tid, tgid, name } = tasks.offsets;
    return {
      ...{ flags, mm, tid, tgid, name },
      parent: kernel.offset("task_struct", "real_parent"),
      leader: kernel.offset("task_struct", "group_leader"),
      signal: kernel.offset("task_struct", "signal"),
      live: kernel.offset("signal_struct", "live"),
      words: kernel.offset("mm_struct", "arg_start"),
      wordsEnd: kernel.offset("mm_struct", "arg_end"),
      path: knowsPath ? kernel.offset("linux_binprm", "interp") : 0,
      pointerSize: kernel.memory.pointerSize,
      current: new CurrentTask(this.guest).place ?? 0n,
    };
  }
}

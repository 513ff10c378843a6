/** Dumps what the target's processes have in memory; for the module of the same name. */
import { mkdirSync } from "node:fs";
import { CallbackManager, getProcessList, hookFunction } from "rebox";
import type { GuestObserver } from "rebox/lab";
import { findTargetScope, onAdoption, onTargetBegin } from "rebox/trusted";
import { type ExploitSign, ExploitWatcher } from "../../../scripts/_exploit_watcher";
import { type DumpFacts, isLastThread, ModuleDumper, readModuleNames } from "../../../scripts/_module_dumper";

/** What the module gives. */
export interface DumpOptions {
  /** Absolute path, not there yet. */
  readonly folder: string;
  /** "exit", "written", "call=MODULE!FUNCTION". */
  readonly occasions: readonly string[];
  /** Names of modules with * and ?; the program alone without any. */
  readonly modules: readonly string[];
  readonly mostFiles: number;
}

/** An event that is told. */
export type DumpEvent = Omit<DumpFacts, "imports" | "sections">;

/** What the module gets at the end. */
export interface DumpResult {
  readonly files: number;
  /** Dumps that were not made. */
  readonly more: number;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => DumpResult {
  const { folder, occasions, modules, mostFiles } = options as unknown as DumpOptions;
  mkdirSync(folder);
  const dumper = new ModuleDumper(folder, (_text, { imports: _i, sections: _s, ...event }) => tell(event));
  let more = 0;
  const isModule = readModuleNames(modules);
  const target = new TargetProcesses(callbacks);
  const dump = (pid: number, pgd: bigint, occasion: string): void => {
    if (dumper.count >= mostFiles) more++;
    else dumper.dumpModules({ pid, pgd, occasion }, isModule);
  };
  const hooks = occasions.flatMap((word) => {
    const [, module, name] = word === "exit" ? ["", "kernel", "do_exit"] : (/^call=([^!]+)!(.+)$/.exec(word) ?? []);
    if (module === undefined || name === undefined) return [];
    // The process may become the target's later than the hook is set: each call asks.
    const onEnter = ({ pid, pgd }: { readonly pid: number; readonly pgd: bigint }): void => {
      if (target.has(pid) && (word !== "exit" || isLastThread(pgd))) dump(pid, pgd, word.replace("=", " "));
    };
    return [hookFunction(module, name, { onEnter })];
  });
  let watcher: ExploitWatcher | undefined;
  if (occasions.includes("written")) {
    const onSign = ({ pid, at, toPlace }: ExploitSign, pgd: bigint): void => {
      if (dumper.count >= mostFiles) more++;
      else dumper.dumpCode({ pid, pgd, occasion: "written" }, at, toPlace);
    };
    const own = (watcher = new ExploitWatcher(callbacks, ["wx"], onSign));
    target.onProcess = (pid, pgd, name) => {
      if (!own.has(pgd)) own.add({ pid, pgd, name });
    };
    target.onRestart = () => own.clear();
    callbacks.addCallback(CallbackManager.LOADMODULE_CB, (_pid, pgd, base, size) => own.forget(pgd, base, size));
    callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => own.remove(pgd));
  }
  return () => {
    for (const hook of hooks) hook.remove();
    target.end();
    watcher?.end();
    return { files: dumper.count, more };
  };
}

/** The target's processes, up to the last moment of their lives: the scope has given them up by then. */
class TargetProcesses {
  onProcess: (pid: number, pgd: bigint, name: string) => void = () => {};
  /** The guest has started again: they are gone with their kernel. */
  onRestart: () => void = () => {};
  readonly #pids = new Set<number>();
  readonly #ends: (() => void)[] = [];

  constructor(callbacks: CallbackManager) {
    const add = (pid: number, pgd: bigint, name: string): void => {
      this.#pids.add(pid);
      this.onProcess(pid, pgd, name);
    };
    // Another process may get the number of one that is gone.
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid) => {
      if (findTargetScope()?.findOrigin(pid) === undefined) this.#pids.delete(pid);
    });
    this.#ends.push(onAdoption(add));
    const begun = onTargetBegin((scope) => {
      const take = ({ pid, pgd, name }: { readonly pid: number; readonly pgd: bigint; readonly name: string }): void => add(pid, pgd, name); // prettier-ignore
      this.#ends.push(scope.follow({ begins: take, executes: take, ends: () => {} }));
      for (const { pid, pgd, name } of getProcessList()) if (scope.findOrigin(pid) !== undefined) add(pid, pgd, name);
      return () => {
        this.#pids.clear();
        this.onRestart();
      };
    });
    this.#ends.push(begun);
  }

  has(pid: number): boolean {
    return this.#pids.has(pid);
  }

  end(): void {
    for (const end of this.#ends) end();
  }
}

/** Follows the processes of an analysis' target in the engine of a Windows guest; the analysis itself loads it, see src/lab/analysis. */
import {
  CallbackManager,
  type Cpu,
  Engine,
  findSystem,
  getRunningProcess,
  KernelDataError,
  type WindowsGuest,
} from "rebox";
import { type GuestObserver } from "rebox/lab";
import { WindowsScope } from "rebox/trusted";

/** The options that the analysis gives. */
interface FollowOptions {
  readonly file: string | null;
  readonly launcher: string;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => void {
  const { file, launcher } = options as unknown as FollowOptions;
  const guest = findWindows();
  const creators = new Creators(guest, callbacks);
  let status: number | undefined;
  const scope = new WindowsScope(
    { file: file ?? undefined, launcher },
    ({ ppid }) => guest.findProcess(ppid),
    ({ kaddr }) => creators.find(kaddr),
    ({ pid, name, imageFile: path }) => tell({ what: "began", pid, name, path }),
    ({ process: { pid, name }, by, act }) => tell({ what: "adopted", pid, name, by, act }),
  );
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (_pid, pgd) => {
    try {
      const process = guest.findProcess(pgd);
      if (process !== undefined) scope.take(process);
    } catch (error) {
      report(error);
    }
  });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid) => {
    if (pid === scope.root?.pid) status = readStatus(scope.root.kaddr);
    if (!scope.remove(pid)) return;
    tell({ what: "ended", processes: scope.count, status: status ?? 0 });
    tell({ what: "settled" });
  });
  const onReset = Engine.get().on("reset", () => {
    tell({ what: "restarted" });
    callbacks.clean();
    scope.end();
  });
  return () => {
    onReset.dispose();
    scope.end();
  };

  /** Reads the exit status of a process that ends: _EPROCESS.ExitStatus. */
  function readStatus(kaddr: bigint): number | undefined {
    try {
      return Number((guest.struct("_EPROCESS", kaddr) as { readonly ExitStatus?: unknown }).ExitStatus) >>> 0;
    } catch (error) {
      return report(error);
    }
  }

  function report(error: unknown): undefined {
    if (!(error instanceof KernelDataError)) throw error;
    tell({ what: "problem", text: error.message });
  }
}

/** So many processes may be in the making at once, each with four arguments of the function that inserts it. */
const MOST_CREATORS = 256;

/** Sees which process makes another: what a process says of its parent may be another's number. */
class Creators {
  /** Address spaces, by what the function was given: the new process' record is among that. */
  readonly #creators = new Map<bigint, bigint>();

  constructor(
    private readonly guest: WindowsGuest,
    callbacks: CallbackManager,
  ) {
    const addr = guest.symbols.resolve(0n, "kernel", "PspInsertProcess");
    if (addr === undefined) return;
    callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex: number, cpu: Cpu) => this.#note(cpuIndex, cpu), {
      addr,
    });
  }

  /** Finds the number of the process that has made the one of this record. */
  find(kaddr: bigint): number | undefined {
    const pgd = this.#creators.get(kaddr);
    return pgd === undefined ? undefined : this.guest.findProcess(pgd)?.pid;
  }

  #note(cpuIndex: number, { RCX, RDX, R8, R9 }: Cpu): void {
    if (this.#creators.size >= MOST_CREATORS) this.#creators.clear();
    const pgd = getRunningProcess(cpuIndex);
    for (const argument of [RCX, RDX, R8, R9]) this.#creators.set(argument, pgd);
  }
}

/** @throws Error when the guest runs nothing that can be followed */
function findWindows(): WindowsGuest {
  const system = findSystem();
  if (system?.kind !== "windows")
    throw new Error("the guest runs no Windows whose symbols rebox has; see rebox doctor");
  if (system.bits !== 64) throw new Error("programs of a Windows of 32 bits are not followed");
  return system as WindowsGuest;
}

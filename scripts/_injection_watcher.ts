/** Watches processes that change other processes: their memory, their registers, what they have mapped; for injections. Linux. */
import { findGuest, type FunctionCall, type FunctionHook, HookError, hookFunction } from "rebox";
import { type Poke, PokeCollector } from "./_poke_collector";
import { SharedMappings } from "./_shared_mappings";

/** What is kept of one write, in bytes. */
const MOST_BYTES = 1 << 20;
/** Vectors of process_vm_writev(): UIO_MAXIOV of include/uapi/linux/uio.h. */
const MOST_VECTORS = 1024;
const PAGE = 4096;

/** Requests of ptrace(2): include/uapi/linux/ptrace.h, arch/x86/include/uapi/asm/ptrace-abi.h. */
const REQUEST = {
  ...{ POKETEXT: 4, POKEDATA: 5, POKEUSR: 6, SETREGS: 13, ATTACH: 16 },
  ...{ SETREGSET: 0x4205, SEIZE: 0x4206 },
} as const;
/** NT_PRSTATUS of include/uapi/linux/elf.h: the general registers. */
const GENERAL_REGISTERS = 1n;
/** Where they lie in the structs of 64 and of 32 bits (arch/x86/include/asm/user_64.h, user_32.h): size, instruction, stack. */
const LAYOUTS = { 64: { size: 216, ip: 128, sp: 152 }, 32: { size: 68, ip: 48, sp: 60 } } as const;

/** A process that takes part. */
export interface InjectionProcess {
  readonly pid: number;
  readonly name: string;
}

/** Something that one process has done to another. */
export interface Injection {
  readonly way: "ptrace" | "process_vm_writev" | "/proc/PID/mem" | "shared memory";
  /** written: bytes are there now; registers: the thread continues elsewhere; attached: it is traced; shared: both have the memory. */
  readonly kind: "written" | "registers" | "attached" | "shared";
  readonly by: InjectionProcess;
  readonly target: InjectionProcess;
  /** In the target: of the bytes, or of the mapping; of registers the instruction pointer. */
  readonly address: bigint | undefined;
  /** What was written, as far as it is kept; of registers all of them. */
  readonly bytes: Uint8Array;
  /** How much was written, in bytes. */
  readonly size: number;
  /** Of registers the stack pointer. */
  readonly stack?: bigint;
  /** Of shared memory the file that it is of, and its rights in the target, as "rwxs". */
  readonly path?: string;
  readonly rights?: string;
}

/** Notes what happens from its beginning until it is removed. */
export class InjectionWatcher {
  readonly #hooks: FunctionHook[] = [];
  /** By thread: what process_vm_writev() is about to do. The kernel says in between whose memory it has opened. */
  readonly #writing = new Map<number, number | undefined>();
  readonly #pokes: PokeCollector;
  readonly #mappings: SharedMappings;

  /**
   * @param onInjection is called while the guest stands still, after each act has succeeded
   * @throws HookError for a guest that is no Linux; AttachError when its kernel is not known
   */
  constructor(private readonly onInjection: (injection: Injection) => void) {
    this.#pokes = new PokeCollector((poke) => this.#tellPoke(poke));
    this.#mappings = new SharedMappings((mapping) => this.#tell({ way: "shared memory", kind: "shared", ...mapping }));
    const values = { parameters: ["pointer", "ulong", "ulong", "pointer"], returns: "long" } as const;
    this.#hook(["arch_ptrace", "compat_arch_ptrace"], { onEnter: noteCall, onLeave: (call) => this.#onPtrace(call) }, values); // prettier-ignore
    this.#hook(["ptrace_attach"], { onLeave: (call) => this.#onAttach(call) }, values);
    this.#hook(
      ["__x64_sys_process_vm_writev", "__ia32_sys_process_vm_writev", "__ia32_compat_sys_process_vm_writev"],
      { onEnter: (call) => void this.#writing.set(call.tid, undefined), onLeave: (call) => this.#onVectors(call) },
      { parameters: ["pointer"], returns: "long" },
    );
    this.#hook(["mm_access"], { onEnter: (call) => this.#onAccess(call) }, values);
    this.#hook(["mem_write"], { onEnter: noteFileWrite, onLeave: (call) => this.#onFileWrite(call) }, values);
    this.#hook(["ksys_mmap_pgoff"], { onLeave: (call) => this.#mappings.note(call) }, { returns: "ulong" });
    // Every kernel that can be traced has this one.
    if (this.#hooks.length === 0)
      throw new HookError("none of the kernel's functions for tracing is known in this guest");
  }

  /** Tells what is still collected. */
  flush(): void {
    this.#pokes.flush();
  }

  remove(): void {
    this.flush();
    for (const hook of this.#hooks.splice(0)) hook.remove();
  }

  /** Which of the functions a kernel has depends on its version and on how it was compiled. */
  #hook(
    names: readonly string[],
    handlers: Parameters<typeof hookFunction>[2],
    options: Parameters<typeof hookFunction>[3],
  ): void {
    for (const name of names) {
      try {
        this.#hooks.push(hookFunction("kernel", name, handlers, options));
      } catch (error) {
        if (!(error instanceof HookError)) throw error;
      }
    }
  }

  /** (child, request, addr, data), once the child is traced and stands still (arch/x86/kernel/ptrace.c). */
  #onPtrace(call: FunctionCall): void {
    const [child, request = 0n, address = 0n, data = 0n] = call.rawArgs;
    if (call.result !== 0n || child === undefined) return;
    const by = describeCaller(call);
    const target = describeTask(child);
    switch (Number(request)) {
      case REQUEST.POKETEXT:
      case REQUEST.POKEDATA:
        this.#pokes.add({ by, target, address, bytes: readWord(data, call.name.startsWith("compat") ? 4 : 8) });
        return;
      case REQUEST.POKEUSR:
      case REQUEST.SETREGS:
      case REQUEST.SETREGSET:
        this.#tellRegisters(by, target, call.data as Uint8Array | undefined);
    }
  }

  #tellRegisters(by: InjectionProcess, target: InjectionProcess, bytes: Uint8Array | undefined): void {
    const known = bytes ?? new Uint8Array(0);
    const view = new DataView(known.buffer, known.byteOffset, known.byteLength);
    const read = (part: "ip" | "sp"): bigint | undefined => {
      if (known.length >= LAYOUTS[64].size) return view.getBigUint64(LAYOUTS[64][part], true);
      return known.length >= LAYOUTS[32].size ? BigInt(view.getUint32(LAYOUTS[32][part], true)) : undefined;
    };
    const stack = read("sp");
    const facts = { way: "ptrace", kind: "registers", by, target, address: read("ip") } as const;
    this.#tell({ ...facts, bytes: known, size: known.length, ...(stack !== undefined && { stack }) });
  }

  /** (task, request, addr, flags), of kernel/ptrace.c. */
  #onAttach(call: FunctionCall): void {
    const [task] = call.rawArgs;
    if (call.result !== 0n || task === undefined) return;
    const facts = { way: "ptrace", kind: "attached", by: describeCaller(call), target: describeTask(task) } as const;
    this.#tell({ ...facts, address: undefined, bytes: new Uint8Array(0), size: 0 });
  }

  /** (task, mode), of kernel/fork.c: within process_vm_writev() the task whose memory is written. */
  #onAccess(call: FunctionCall): void {
    if (this.#writing.size === 0) return;
    const { tid } = call;
    const [task] = call.rawArgs;
    if (this.#writing.has(tid) && task !== undefined) this.#writing.set(tid, Number(describeTask(task).pid));
  }

  #onVectors(call: FunctionCall): void {
    const { tid } = call;
    const pid = this.#writing.get(tid);
    this.#writing.delete(tid);
    const written = Number(call.result);
    const [registers] = call.rawArgs;
    if (pid === undefined || !(written > 0) || registers === undefined) return;
    const width = call.name.startsWith("__x64") ? 8 : 4;
    const [own, ownCount, other, otherCount] = readVectorArguments(registers, width);
    const bytes = readVectors(call, own, ownCount, width).flatMap(({ address, size }) =>
      readBytes(call, address, size),
    );
    let left = written;
    let at = 0;
    for (const { address, size } of readVectors(call, other, otherCount, width)) {
      const part = Math.min(size, left);
      if (part === 0) break;
      const kept = Uint8Array.from(concat(bytes).subarray(at, at + Math.min(part, MOST_BYTES)));
      const facts = { way: "process_vm_writev", kind: "written", by: describeCaller(call), target: describePid(pid) } as const; // prettier-ignore
      this.#tell({ ...facts, address, bytes: kept, size: part });
      at += part;
      left -= part;
    }
  }

  /** (file, buffer, count, position), of fs/proc/base.c. */
  #onFileWrite(call: FunctionCall): void {
    const written = Number(call.result);
    const note = call.data as FileWrite | undefined;
    const [file] = call.rawArgs;
    if (note === undefined || !(written > 0) || file === undefined) return;
    const pid = Number(/\/(\d+)(?:\/task\/\d+)?\/mem$/.exec(findGuest()?.pathOf(file) ?? "")?.[1]);
    const by = describeCaller(call);
    if (Number.isNaN(pid) || pid === by.pid) return;
    const facts = { way: "/proc/PID/mem", kind: "written", by, target: describePid(pid) } as const;
    this.#tell({ ...facts, address: note.address, bytes: note.bytes.slice(0, written), size: written });
  }

  #tellPoke({ by, target, address, bytes }: Poke): void {
    this.onInjection({ way: "ptrace", kind: "written", by, target, address, bytes, size: bytes.length });
  }

  /** In the order in which it happened. */
  #tell(injection: Injection): void {
    this.flush();
    this.onInjection(injection);
  }
}

interface FileWrite {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** The registers that are set lie in the caller's memory, which it may change later. */
function noteCall(call: FunctionCall): void {
  const [, request, address, data = 0n] = call.rawArgs;
  const { size } = LAYOUTS[call.name.startsWith("compat") ? 32 : 64];
  if (Number(request) === REQUEST.SETREGS) call.data = call.findBytes(data, size);
  if (Number(request) !== REQUEST.SETREGSET || address !== GENERAL_REGISTERS) return;
  const [vector] = readVectors(call, data, 1, size === LAYOUTS[64].size ? 8 : 4);
  if (vector !== undefined) call.data = call.findBytes(vector.address, Math.min(vector.size, LAYOUTS[64].size));
}

function noteFileWrite(call: FunctionCall): void {
  const [, buffer = 0n, count = 0n, position = 0n] = call.rawArgs;
  const address = call.findPointer(position);
  const bytes = concat(readBytes(call, buffer, Number(count)));
  if (address !== undefined) call.data = { address, bytes } satisfies FileWrite;
}

/** The arguments of the system call: of the four vectors, in their order. */
function readVectorArguments(registers: bigint, width: 4 | 8): [bigint, number, bigint, number] {
  const saved = findGuest()!.struct("pt_regs", registers);
  const names = width === 8 ? (["si", "dx", "r10", "r8"] as const) : (["cx", "dx", "si", "di"] as const);
  const [own, ownCount, other, otherCount] = names.map((name) => BigInt(saved[name] as bigint)) as [bigint, bigint, bigint, bigint]; // prettier-ignore
  return [own, Number(ownCount), other, Number(otherCount)];
}

function readVectors(call: FunctionCall, list: bigint, count: number, width: 4 | 8) {
  const bytes = call.findBytes(list, Math.min(count, MOST_VECTORS) * 2 * width) ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (at: number): bigint => (width === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  return Array.from({ length: bytes.length / (2 * width) }, (_, index) => ({
    address: read(index * 2 * width),
    size: Number(read(index * 2 * width + width)),
  }));
}

/** Reads a caller's bytes page by page, as far as they are in memory. */
function readBytes(call: FunctionCall, address: bigint, size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const end = Math.min(size, MOST_BYTES);
  for (let at = 0; at < end;) {
    const here = address + BigInt(at);
    const part = Math.min(end - at, PAGE - Number(here & 0xfffn));
    parts.push(call.findBytes(here, part) ?? new Uint8Array(part));
    at += part;
  }
  return parts;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function readWord(value: bigint, size: 4 | 8): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return new Uint8Array(view.buffer, 0, size);
}

function describeCaller(call: FunctionCall): InjectionProcess {
  return describePid(call.pid);
}

function describePid(pid: number): InjectionProcess {
  return { pid, name: findGuest()?.findProcess(pid)?.name ?? "" };
}

function describeTask(task: bigint): InjectionProcess {
  const facts = findGuest()!.struct("task_struct", task);
  return describePid(Number(facts.tgid));
}

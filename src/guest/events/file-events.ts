import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { Cpu } from "../../machine/state/cpu";
import { AddressError, KernelDataError } from "../../systems/errors";
import { FileFormat, getFileFormat } from "../../systems/linux/files/file-mode";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { listMountedVolumes, type MountedVolume } from "../../systems/linux/mounted-volume";
import { CurrentTask } from "./current-task";

/** Kinds of changes to a file. */
export type FileEventKind = "open" | "write" | "create" | "remove" | "rename";

/** The kinds that change files. Opened files are many: they are reported when they are asked for. */
export const FILE_CHANGES = ["write", "create", "remove", "rename"] as const satisfies readonly FileEventKind[];

/** Something that a process of the guest has done to a file, or is about to write. */
export interface FileEvent {
  /** "write" comes before each write, the others when it is done; "open" for each descriptor of a file or directory. */
  readonly kind: FileEventKind;
  /** As the guest's first process sees it; for "open" and "write" by the mount through which the file was opened. */
  readonly path: string;
  /** Its new path, for "rename". */
  readonly newPath: string | undefined;
  /** For "open" the descriptor that the process gets, and the flags of open(2). */
  readonly descriptor: number | undefined;
  readonly flags: number | undefined;
  /** The process that does it; undefined for the kernel itself, or when the kernel does not say. */
  readonly pid: number | undefined;
  readonly process: string | undefined;
}

/** MAY_WRITE (include/linux/fs.h). */
const MAY_WRITE = 2n;
const LONGEST_NAME = 255;
const MOST_NAMES = 1024;

/**
 * The functions by which the kernel notes a change in its directory entries (fs/dcache.c), on any file system: the names of
 * functions, of which a kernel may lack some. Each has the entry as its first parameter.
 */
const CREATED = ["d_instantiate", "d_instantiate_new", "d_make_persistent"];
const REMOVED = ["d_delete"];
/** The second parameter is the entry whose place the first takes, or changes with. */
const RENAMED = ["d_move", "d_exchange"];
/** Called when a process gets a descriptor: (descriptor, file). */
const OPENED = ["fd_install"];
/** Asked before each read and write, in whatever way except through a mapping: (file, mask). */
const PERMISSION = ["security_file_permission"];

/** Reports what the guest's processes do to files, from hooks in its kernel. */
export class FileEvents {
  readonly #guest: LinuxGuest;
  readonly #current: CurrentTask;
  readonly #listener: (event: FileEvent) => void;
  readonly #onProblem: (text: string) => void;
  #mounts: readonly MountedVolume[] = [];
  #mountEvent: bigint | undefined;
  /** The address of the first process' task_struct, which stays. */
  #init: bigint | undefined;

  /**
   * @param onProblem called for each event whose file could not be read out of the kernel
   * @throws MissingTypeError
   */
  constructor(guest: LinuxGuest, listener: (event: FileEvent) => void, onProblem: (text: string) => void) {
    this.#guest = guest;
    this.#current = new CurrentTask(guest);
    this.#listener = listener;
    this.#onProblem = onProblem;
  }

  /**
   * Hooks the kernel. What is added goes with the callbacks.
   *
   * @param kinds those that are reported: all changes by default
   * @returns the functions that this kernel does not have, without which something is not seen
   * @throws Error for a 32-bit kernel
   */
  hook(callbacks: Pick<CallbackManager, "addCallback">, kinds: readonly FileEventKind[] = FILE_CHANGES): string[] {
    if (this.#guest.kernel.bits !== 64) throw new Error("files are watched in 64-bit guests only");
    const missing: string[] = [];
    const add = (kind: FileEventKind, names: readonly string[], act: (cpu: Cpu) => void): void => {
      if (!kinds.includes(kind)) return;
      const places = names.flatMap((name) => this.#guest.kernel.findSymbol(name) ?? []);
      if (places.length === 0) missing.push(...names);
      for (const addr of places) {
        callbacks.addCallback("BLOCK_BEGIN_CB", (_index, cpu) => this.#attempt(() => act(cpu)), { addr });
      }
    };
    add("open", OPENED, (cpu) => this.#tellOpened(cpu));
    add("create", CREATED, (cpu) => this.#tell("create", cpu, cpu.RDI));
    add("remove", REMOVED, (cpu) => this.#tell("remove", cpu, cpu.RDI));
    add("rename", RENAMED, (cpu) => this.#tell("rename", cpu, cpu.RDI, cpu.RSI));
    add("write", PERMISSION, (cpu) => {
      if ((cpu.RSI & MAY_WRITE) !== 0n) this.#tellWrite(cpu);
    });
    return missing;
  }

  #tellOpened(cpu: Cpu): void {
    const file = this.#guest.kernel.at("file", cpu.RSI);
    const format = getFileFormat(file.follow("f_inode")?.number("i_mode") ?? 0);
    // Sockets, pipes and what has no place in a tree of files get descriptors too.
    if (format === FileFormat.socket || format === FileFormat.pipe) return;
    const path = this.#guest.paths.readFile(file.address);
    if (!path.startsWith("/")) return;
    const opened = { descriptor: Number(BigInt.asIntN(32, cpu.RDI)), flags: file.number("f_flags") };
    this.#report("open", path, undefined, cpu, opened);
  }

  #tellWrite(cpu: Cpu): void {
    const file = this.#guest.kernel.at("file", cpu.RDI);
    const mode = file.follow("f_inode")?.number("i_mode") ?? 0;
    // Pipes, sockets and terminals are written to all the time.
    if (getFileFormat(mode) !== FileFormat.regular) return;
    // What is written to a file of an overlay goes on to the file behind it: one act, told once.
    if (this.#guest.paths.isBacking(file.address)) return;
    this.#report("write", this.#guest.paths.readFile(file.address), undefined, cpu);
  }

  #tell(kind: FileEventKind, cpu: Cpu, dentry: bigint, newDentry?: bigint): void {
    const path = this.#findPath(dentry);
    const newPath = newDentry === undefined ? undefined : this.#findPath(newDentry);
    if (path !== undefined) this.#report(kind, path, newPath, cpu);
  }

  #report(
    kind: FileEventKind,
    path: string,
    newPath: string | undefined,
    cpu: Cpu,
    opened?: Pick<FileEvent, "descriptor" | "flags">,
  ): void {
    const task = this.#current.find(cpu);
    const { descriptor, flags } = opened ?? {};
    this.#listener({ kind, path, newPath, descriptor, flags, pid: task?.tgid, process: task?.name });
  }

  /** Which mount a path is taken by is not said: of several, the first that has the entry. */
  #findPath(dentry: bigint): string | undefined {
    const { kernel } = this.#guest;
    const names: string[] = [];
    let at = kernel.at("dentry", dentry);
    const superBlock = at.value("d_sb");
    const mounts = this.#findMounts(superBlock);
    for (let count = 0; count < MOST_NAMES; count++) {
      const mount = mounts.find(({ root }) => root === at.address);
      if (mount) {
        const rest = names.reverse().join("/");
        return mount.mount.path === "/" ? `/${rest}` : `${mount.mount.path}/${rest}`;
      }
      const parent = at.value("d_parent");
      if (parent === at.address) return undefined;
      const size = Math.min(at.number("d_name.len"), LONGEST_NAME);
      names.push(kernel.memory.readSome(at.value("d_name.name"), size).toString("utf8"));
      at = kernel.at("dentry", parent);
    }
    return undefined;
  }

  #findMounts(superBlock: bigint): readonly MountedVolume[] {
    const event = this.#readMountEvent();
    if (event === undefined || event !== this.#mountEvent) {
      this.#readMounts();
      this.#mountEvent = event;
    }
    return this.#mounts.filter((one) => one.superBlock === superBlock);
  }

  /** The kernel counts the changes of a namespace's mounts (mnt_namespace.event, fs/namespace.c: touch_mnt_namespace()). */
  #readMountEvent(): bigint | undefined {
    const { kernel } = this.#guest;
    this.#init ??= this.#guest.getProcessList().find(({ pid }) => pid === 1)?.kaddr;
    if (this.#init === undefined) return undefined;
    const namespace = kernel.at("task_struct", this.#init).follow("nsproxy")?.follow("mnt_ns");
    return namespace?.has("event") ? namespace.value("event") : undefined;
  }

  /** While they are just being changed, those that were there before hold. */
  #readMounts(): void {
    try {
      this.#mounts = listMountedVolumes(this.#guest);
    } catch (error) {
      if (!(error instanceof AddressError || error instanceof KernelDataError) || this.#mounts.length === 0)
        throw error;
    }
  }

  /** Reports damaged data apart; the hook stays. */
  #attempt(act: () => unknown): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof AddressError || error instanceof KernelDataError)) throw error;
      this.#onProblem(error.message);
    }
  }
}

import type { Cpu } from "../../machine/state/cpu";
import { AddressError, KernelDataError } from "../../systems/errors";
import { type InodeFacts, readChangeNs, readInode, readInodeStamp } from "../../systems/linux/files/inode-reader";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { StructCursor } from "../../systems/structs/struct-cursor";
import { readArgument } from "../events/kernel-hooks";
import { type HookCallbacks, ScopeHooks } from "../scope/scope-hooks";
import type { TargetScope } from "../scope/target-scope";
import { findFileKey, readFileNumbers, type WrittenFile } from "../scope/written-files";
import type { ArtefactStore } from "./artefact-store";
import { type FileContent, FileContents } from "./file-content";

/** FMODE_WRITE (include/linux/fs.h). */
const FMODE_WRITE = 2;
/** RENAME_EXCHANGE (include/uapi/linux/fs.h): both files stay. */
const RENAME_EXCHANGE = 2n;
/** File systems whose files are no content but commands to the kernel and its answers. */
const MADE_BY_KERNEL =
  /^(proc|sysfs|cgroup2?|debugfs|tracefs|securityfs|configfs|bpf|pstore|efivarfs|selinuxfs|devpts|mqueue|binfmt_misc|nsfs|fusectl)$/;
/** Files of which it is known whether they have changed. */
const MOST_FILES = 100_000;

/** The moment at which a file was looked at. */
export type KeptMoment = "closed" | "executed" | "removed" | "replaced" | "end";

/** A file that the scope wrote, at one moment. */
export interface KeptFile {
  readonly moment: KeptMoment;
  /** At that moment. */
  readonly path: string;
  /** The process that caused the moment; at the end the one that has written the file. */
  readonly pid: number;
  /** The name of that process. */
  readonly process: string;
  readonly size: number;
  /** The name of its content; undefined when that was left out. */
  readonly sha256?: string;
  /** Why the content was left out. */
  readonly left?: string;
  /** Bytes of the content that could not be read and are zeros. */
  readonly missing?: number;
}

type Doer = Pick<KeptFile, "pid" | "process">;

/** The knowledge of a file since it was looked at last. */
interface Seen {
  readonly inode: bigint;
  readonly file: WrittenFile;
  /** The state of the content at that time. */
  stamp: string;
  sha256: string | undefined;
  versions: number;
  path: string;
  who: Doer;
  /** It was closed with a new content, which was not looked at: there were too many versions. */
  isBehind: boolean;
}

/**
 * Keeps the files that the processes of a scope write, as they are at the moments that count: when the last writer closes one, when
 * one is executed, and before one is removed or another takes its name.
 */
export class KeptFiles {
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #contents: FileContents;
  readonly #seen = new Map<string, Seen>();

  /**
   * @param callbacks that the hooks go with
   * @param mostVersions contents of one file that are kept as it is closed; the last one is kept in any case, at the end
   * @param onProblem called when something could not be read
   */
  constructor(
    guest: LinuxGuest,
    callbacks: HookCallbacks,
    private readonly scope: TargetScope,
    private readonly store: ArtefactStore,
    private readonly mostVersions: number,
    private readonly listener: (file: KeptFile) => void,
    private readonly onProblem: (text: string) => void,
  ) {
    this.#guest = guest;
    this.#hooks = new ScopeHooks(guest, callbacks, scope.conditions, onProblem);
    this.#contents = new FileContents(guest);
  }

  /** Hooks the kernel. @returns the moments that this kernel lacks a function for */
  hook(): KeptMoment[] {
    const { bits } = this.#guest.kernel;
    const entry = (cpu: Cpu, index: 0 | 1 | 2) => this.#guest.kernel.at("dentry", readArgument(cpu, index, bits));
    // fs/file_table.c: the last reference to an open file is given up, by its task or a worker of the kernel.
    const { conditions } = this.scope;
    const isWritten = conditions.canWrite(0);
    const closed = this.#hooks.addFirst(
      ["__fput"],
      (cpu, current) => this.#onClose(this.#guest.kernel.at("file", readArgument(cpu, 0, bits)), current),
      [
        [conditions.runs(conditions.living), ...isWritten],
        [conditions.runs(conditions.ending), ...isWritten],
        [conditions.leadsToFile(0, ["file", "f_inode"]), ...isWritten],
      ],
    );
    // security/security.c: asked for each file on the way to a program, a script before its interpreter.
    const onExecuted = (cpu: Cpu, current: bigint): void | Promise<void> => {
      const file = this.#guest.kernel.at("linux_binprm", readArgument(cpu, 0, bits)).follow("file");
      if (file === undefined) return undefined;
      return this.#onMoment("executed", file.follow("f_inode"), current, () =>
        this.#guest.paths.renew().readFile(file.address),
      );
    };
    const executed = this.#hooks.addFirst(["security_bprm_check"], onExecuted, [
      [conditions.leadsToFile(0, ["linux_binprm", "file"], ["file", "f_inode"])],
    ]);
    const pathOf = (dentry: StructCursor) => (file: WrittenFile) =>
      this.#guest.paths.renew().readEntry(dentry.address, file.mount);
    // security/security.c: (directory, entry), and (directory, entry, directory, entry, flags), after all checks.
    const onRemoved = (cpu: Cpu, current: bigint): void | Promise<void> => {
      const dentry = entry(cpu, 1);
      return this.#onMoment("removed", dentry.follow("d_inode"), current, pathOf(dentry));
    };
    const removed = this.#hooks.addFirst(["security_inode_unlink"], onRemoved, [
      [conditions.leadsToFile(1, ["dentry", "d_inode"])],
    ]);
    const onReplaced = (cpu: Cpu, current: bigint): void | Promise<void> => {
      const [address, flags] = this.#readRenameArguments(cpu);
      if ((flags & RENAME_EXCHANGE) !== 0n) return undefined;
      const dentry = this.#guest.kernel.at("dentry", address);
      return this.#onMoment("replaced", dentry.follow("d_inode"), current, pathOf(dentry));
    };
    const replaced = this.#hooks.addFirst(["security_inode_rename"], onReplaced, [
      [conditions.leadsToFile(3, ["dentry", "d_inode"])],
    ]);
    const all = { closed, executed, removed, replaced };
    return (Object.keys(all) as (keyof typeof all)[]).filter((moment) => !all[moment]);
  }

  /** Keeps what was written and not kept since: files that are still open, and those of many versions. */
  async end(): Promise<void> {
    for (const [key, seen] of this.#seen) {
      if (!seen.isBehind) continue;
      try {
        await this.#endOne(key, seen);
      } catch (error) {
        this.onProblem(`${seen.path} cannot be kept: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    for (const { file, key, pid, process, path } of this.#listOpen()) {
      const inode = file.follow("f_inode");
      if (inode === undefined || !this.#hasChanged(key, readInode(inode), inode)) continue;
      await this.#keep("end", inode, key, { pid, process }, path, file.value("f_path.mnt"));
    }
  }

  /** Written files that processes of the scope have open at this moment. */
  *#listOpen() {
    for (const process of this.#guest.getProcessList()) {
      if (this.scope.findOrigin(process.pid) === undefined) continue;
      try {
        for (const { kaddr, path } of process.openFiles) {
          const file = this.#guest.kernel.at("file", kaddr);
          if ((file.number("f_mode") & FMODE_WRITE) === 0) continue;
          const key = findFileKey(file.follow("f_inode"));
          if (key !== undefined) yield { file, key, pid: process.pid, process: process.name, path };
        }
      } catch (error) {
        if (!(error instanceof AddressError || error instanceof KernelDataError)) throw error;
      }
    }
  }

  async #endOne(key: string, seen: Seen): Promise<void> {
    const inode = this.#guest.kernel.at("inode", seen.inode);
    // Its place may be another file's by now.
    if (findFileKey(inode) !== key) throw new KernelDataError("an inode", seen.inode, "the kernel has given it up");
    await this.#keep("end", inode, key, seen.who, seen.path, seen.file.mount);
  }

  #onClose(file: StructCursor, current: bigint): void | Promise<void> {
    if ((file.number("f_mode") & FMODE_WRITE) === 0) return undefined;
    const inode = file.follow("f_inode");
    const key = findFileKey(inode);
    if (inode === undefined || key === undefined) return undefined;
    const pid = this.scope.findPidToItsEnd(current);
    const written = this.scope.writtenFiles?.find(key);
    if (pid === undefined && written === undefined) return undefined;
    // It is still among the writers itself.
    if (inode.number("i_writecount.counter") > 1 || !this.#hasChanged(key, readInode(inode), inode)) return undefined;
    const path = this.#guest.paths.renew().readFile(file.address);
    const { name: process } = this.#guest.tasks.read(current);
    return this.#keep("closed", inode, key, { pid: pid ?? written?.by ?? 0, process }, path, file.value("f_path.mnt"));
  }

  #onMoment(
    moment: KeptMoment,
    inode: StructCursor | undefined,
    current: bigint,
    findPath: (file: WrittenFile) => string,
  ): void | Promise<void> {
    const key = findFileKey(inode);
    if (inode === undefined || key === undefined) return undefined;
    const written = this.scope.writtenFiles?.find(key) ?? this.#seen.get(key)?.file;
    if (written === undefined) return undefined;
    const { tgid, name: process } = this.#guest.tasks.read(current);
    let path: string;
    try {
      path = findPath(written);
    } catch {
      // Its mount has gone since.
      path = this.#seen.get(key)?.path ?? written.path;
    }
    return this.#keep(moment, inode, key, { pid: tgid, process }, path, written.mount);
  }

  /** Whether a file that can be written was: one that was only opened is not the scope's. */
  #hasChanged(key: string, facts: InodeFacts, inode: StructCursor): boolean {
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen.isBehind || seen.stamp !== readInodeStamp(inode, facts);
    return readChangeNs(inode) >= this.scope.begunNs;
  }

  #keep(
    moment: KeptMoment,
    inode: StructCursor,
    key: string,
    who: Doer,
    path: string,
    mount: bigint,
  ): void | Promise<void> {
    const facts = readInode(inode);
    const fileSystem = readFileSystem(inode);
    if (MADE_BY_KERNEL.test(fileSystem)) return undefined;
    if (fileSystem === "overlay") {
      // The file behind it is closed, too, and kept then.
      if (moment !== "closed" && moment !== "end") {
        this.listener({ moment, path, ...who, size: facts.size, left: "its content is in a file behind the overlay" });
      }
      return undefined;
    }
    const written = this.scope.writtenFiles?.find(key) ?? { path, by: who.pid, mount, isOnDisk: false };
    const seen = this.#note(key, inode.address, written, who);
    Object.assign(seen, { path, who });
    const stamp = readInodeStamp(inode, facts);
    if (
      seen.stamp === stamp &&
      seen.sha256 !== undefined &&
      !seen.isBehind &&
      inode.number("i_writecount.counter") <= 0
    ) {
      return this.listener({ moment, path, ...who, size: facts.size, sha256: seen.sha256 });
    }
    if (moment === "closed" && seen.versions >= this.mostVersions) {
      seen.isBehind = true;
      return undefined;
    }
    seen.isBehind = false;
    const left = this.store.findProblem(facts.size);
    if (left !== undefined) return this.listener({ moment, path, ...who, size: facts.size, left });
    const store = ({ bytes, missing }: FileContent): void => {
      const kept = this.store.keep(bytes);
      seen.stamp = stamp;
      // Its name or its mode has changed since, and its content has not.
      if (moment === "closed" && "sha256" in kept && kept.sha256 === seen.sha256) return;
      seen.versions++;
      seen.sha256 = "sha256" in kept ? kept.sha256 : undefined;
      const content = "sha256" in kept ? { sha256: kept.sha256 } : { left: kept.left };
      this.listener({ moment, path, ...who, size: bytes.length, ...content, ...(missing > 0 ? { missing } : {}) });
    };
    const content = this.#contents.read(facts);
    return content instanceof Promise ? content.then(store) : store(content);
  }

  #note(key: string, inode: bigint, file: WrittenFile, who: Doer): Seen {
    const known = this.#seen.get(key);
    if (known?.inode === inode) return known;
    const { path } = file;
    const seen = { inode, file, stamp: "", sha256: undefined, versions: 0, path, who, isBehind: false };
    if (this.#seen.size >= MOST_FILES) return seen;
    this.#seen.set(key, seen);
    this.scope.conditions.files.add(...readFileNumbers(this.#guest.kernel.at("inode", inode)));
    return seen;
  }

  /** The fourth argument and the fifth: on 32 bits they are on the stack, behind the return address. */
  #readRenameArguments(cpu: Cpu): readonly [dentry: bigint, flags: bigint] {
    const { bits, memory } = this.#guest.kernel;
    if (bits === 64) return [cpu.RCX, cpu.R8];
    return [memory.pointer(cpu.ESP + 4n), memory.pointer(cpu.ESP + 8n)];
  }
}

function readFileSystem(inode: StructCursor): string {
  return inode.follow("i_sb")?.follow("s_type")?.text(32, "name") ?? "";
}

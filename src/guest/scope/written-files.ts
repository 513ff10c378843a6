import type { Cpu } from "../../machine/state/cpu";
import { FileFormat, getFileFormat } from "../../systems/linux/files/file-mode";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { readCommandLine, splitWords } from "../../systems/linux/processes/command-line";
import type { StructCursor } from "../../systems/structs/struct-cursor";
import { readArgument } from "../events/kernel-hooks";
import type { AdoptingScope } from "./adopting-scope";
import { MOST_ANCESTORS, MOST_GROUPS, type ScopeConditions } from "./scope-conditions";
import type { ScopeHooks } from "./scope-hooks";
import { isReadToExecute, listUnits } from "./start-files";

/** FMODE_WRITE (include/linux/fs.h). */
const FMODE_WRITE = 2;
/** FMODE_CREATED (the same): the file was made as it was opened. Since 4.19. */
const FMODE_CREATED = 0x100000;
/** Files that a scope has opened for writing; the first ones are kept. */
const MOST_FILES = 100_000;
/** In bytes; a table of jobs that is longer is cut off. */
const LONGEST_TABLE = 64 << 10;

/** A file that the scope has opened for writing. */
export interface WrittenFile {
  /** When it was opened. */
  readonly path: string;
  /** The first process that did. */
  readonly by: number;
  /** The address of the struct vfsmount through which it was opened. */
  readonly mount: bigint;
  /** Whether it lies on a disk, so that it is there after a restart. */
  readonly isOnDisk: boolean;
}

/** A file that a process of the scope makes. */
export interface MadeFile {
  readonly pid: number;
  readonly path: string;
  /** The vCPU that does it, in the kernel. */
  readonly cpu: Cpu;
  /** The address of the task_struct. */
  readonly task: bigint;
}

/** A table of jobs that a daemon has opened. */
interface JobTable extends WrittenFile {
  /** The address of its struct address_space. */
  readonly mapping: bigint;
  readonly size: number;
  /** Undefined while its pages have not been in memory: after a restart they are read only when the daemon reads. */
  text: string | undefined;
}

/** The files that a scope has written and that are there after a restart of the guest. */
export interface LastingFiles {
  /** By device and number of the inode. */
  readonly files: ReadonlyMap<string, WrittenFile>;
  /** By the names of units of systemd. */
  readonly units: ReadonlyMap<string, WrittenFile>;
  /** When the target began, in nanoseconds since 1970 by the guest's clock; 0 when that could not be read. */
  readonly sinceNs: bigint;
}

/**
 * Takes processes into a scope that the system starts because of files which the scope has opened for writing: programs, scripts,
 * libraries, start-up files of shells, units of systemd, jobs of cron and at. A file is known by its inode, however often it is
 * renamed or linked.
 */
export class WrittenFiles {
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #scope: AdoptingScope;
  /** By device and number of the inode. */
  readonly #files = new Map<string, WrittenFile>();
  /** Names of units of systemd that the files make or change. */
  readonly #units = new Map<string, WrittenFile>();
  /** Tables of jobs that a daemon has read, by its pid. */
  readonly #tables = new Map<number, Map<string, JobTable>>();
  readonly #makers = new Set<(made: MadeFile) => void>();
  #sinceNs: bigint;

  /** @param sinceNs when the target began, in nanoseconds since 1970 by the guest's clock; 0 when that could not be read */
  constructor(
    guest: LinuxGuest,
    hooks: ScopeHooks,
    scope: AdoptingScope,
    private readonly conditions: ScopeConditions,
    sinceNs: bigint,
  ) {
    this.#sinceNs = sinceNs;
    this.#guest = guest;
    this.#hooks = hooks;
    this.#scope = scope;
  }

  /** Lists what is there after a restart of the guest. */
  get lasting(): LastingFiles {
    const onDisk = (files: ReadonlyMap<string, WrittenFile>) => new Map([...files].filter(([, file]) => file.isOnDisk));
    return { files: onDisk(this.#files), units: onDisk(this.#units), sinceNs: this.#sinceNs };
  }

  /** When the target began, also when the guest was started again since: in nanoseconds since 1970, 0 when it is not known. */
  get sinceNs(): bigint {
    return this.#sinceNs;
  }

  /** Takes over what was written before the guest was started again. */
  restore({ files, units, sinceNs }: LastingFiles): void {
    this.#sinceNs = sinceNs;
    for (const [key, file] of files) {
      this.#files.set(key, file);
      const [device, number] = key.split(":") as [string, string];
      this.conditions.files.add(BigInt(device), BigInt(number));
    }
    for (const [unit, file] of units) {
      this.#units.set(unit, file);
      this.conditions.units.addText(unit);
    }
  }

  /** Finds a file by its key; undefined when the scope has not opened it for writing. */
  find(key: string): WrittenFile | undefined {
    return this.#files.get(key);
  }

  /** Hooks the functions; what this kernel lacks is not seen. */
  hook(): void {
    const { conditions } = this;
    const { kernel } = this.#guest;
    // fs/file.c: (descriptor, file), when a process gets an open file.
    this.#hooks.addFirst(
      ["fd_install"],
      (cpu, current) => {
        const by = this.#scope.findPid(current);
        if (by === undefined && this.#files.size === 0) return;
        const file = kernel.at("file", readArgument(cpu, 1, kernel.bits));
        const key = findFileKey(file.follow("f_inode"));
        if (key === undefined) return;
        if (by === undefined) this.#onRead(current, file, key);
        else this.#onOpen(by, file, key, cpu, current);
      },
      [
        [conditions.runs(conditions.living), ...conditions.canWrite(1)],
        [conditions.leadsToFile(1, ["file", "f_inode"])],
      ],
    );
    // fs/exec.c: the new program is complete, and has executed no instruction.
    this.#hooks.addFirst(
      ["finalize_exec", "proc_exec_connector"],
      (_cpu, current) => {
        if (this.#files.size > 0 && !this.#scope.has(current)) this.#onProgram(current);
      },
      [[conditions.runsFile], ...(conditions.runsInUnit ? [[conditions.runsInUnit]] : []), [conditions.isJob]],
    );
  }

  /** Calls a function with each file that a process of the scope makes as it opens it for writing. */
  followMade(listener: (made: MadeFile) => void): void {
    this.#makers.add(listener);
  }

  #onOpen(pid: number, file: StructCursor, key: string, cpu: Cpu, task: bigint): void {
    const mode = file.number("f_mode");
    if ((mode & FMODE_WRITE) !== 0) this.#onWritten(pid, file, key);
    if ((mode & FMODE_CREATED) === 0 || this.#makers.size === 0) return;
    const path = this.#guest.paths.readFile(file.address);
    for (const listener of this.#makers) listener({ pid, path, cpu, task });
  }

  #onWritten(by: number, file: StructCursor, key: string): void {
    if (this.#files.has(key) || this.#files.size >= MOST_FILES) return;
    const mount = file.value("f_path.mnt");
    const device = file.follow("f_inode")?.follow("i_sb")?.value("s_bdev") ?? 0n;
    const written = { path: this.#guest.paths.readFile(file.address), by, mount, isOnDisk: device !== 0n };
    this.#files.set(key, written);
    this.conditions.files.add(...readFileNumbers(file.follow("f_inode")!));
    for (const unit of listUnits(written.path)) {
      this.#units.set(unit, written);
      this.conditions.units.addText(unit);
    }
  }

  #onRead(current: bigint, file: StructCursor, key: string): void {
    const written = this.#files.get(key);
    if (written === undefined) return;
    // It may have another name by now.
    const path = this.#guest.paths.readFile(file.address);
    const { name, tgid, parent } = this.#guest.tasks.read(current);
    const act = isReadToExecute(path, name, this.#readWords(current), this.#guest.tasks.read(parent).name);
    if (act === "job table") this.#keepTable(tgid, key, { ...written, path }, file);
    else if (act !== undefined) this.#scope.adopt(current, written.by, `${act} ${path}, which it wrote`);
  }

  #keepTable(pid: number, key: string, written: WrittenFile, file: StructCursor): void {
    const size = Number(BigInt.asUintN(48, file.follow("f_inode")?.value("i_size") ?? 0n));
    const table: JobTable = { ...written, mapping: file.value("f_mapping"), size: Math.min(size, LONGEST_TABLE), text: undefined }; // prettier-ignore
    table.text = this.#readTable(table);
    const tables = this.#tables.get(pid) ?? new Map<string, JobTable>();
    this.conditions.daemons.add(BigInt(pid));
    this.#tables.set(pid, tables.set(key, table));
  }

  #readTable({ mapping, size }: JobTable): string | undefined {
    const bytes = this.#guest.pageCache.findMapped(mapping, 0n, size);
    return bytes && Buffer.from(bytes).toString("latin1");
  }

  #onProgram(current: bigint): void {
    const { kernel } = this.#guest;
    const task = kernel.at("task_struct", current);
    const program = task.follow("mm")?.follow("exe_file");
    const key = program && findFileKey(program.follow("f_inode"));
    const written = key === undefined ? undefined : this.#files.get(key);
    if (written !== undefined && program !== undefined) {
      const path = this.#guest.paths.readFile(program.address);
      return this.#scope.adopt(current, written.by, `executes ${path}, which it wrote`);
    }
    const unit = this.#units.size === 0 ? undefined : this.#findUnit(task);
    if (unit !== undefined) return this.#scope.adopt(current, unit.by, `belongs to ${unit.path}, which it wrote`);
    const table = this.#tables.size === 0 ? undefined : this.#findTable(current);
    if (table !== undefined) this.#scope.adopt(current, table.by, `is a job of ${table.path}, which it wrote`);
  }

  /** The unit by whose name the task's control group, or one that it is in, is called. */
  #findUnit(task: StructCursor): WrittenFile | undefined {
    let node = task.follow("cgroups")?.follow("dfl_cgrp")?.follow("kn");
    for (let depth = 0; node !== undefined && depth < MOST_GROUPS; depth++) {
      const unit = this.#units.get(node.text(256, "name"));
      if (unit !== undefined) return unit;
      node = node.follow("__parent", "parent");
    }
    return undefined;
  }

  /** The table of a daemon above the task that has what the task executes: `sh -c LINE`. */
  #findTable(current: bigint): WrittenFile | undefined {
    const line = this.#readWords(current).at(-1);
    if (line === undefined || line === "") return undefined;
    let { parent } = this.#guest.tasks.read(current);
    for (let steps = 0; steps < MOST_ANCESTORS && parent !== 0n; steps++) {
      const ancestor = this.#guest.tasks.read(parent);
      for (const table of this.#tables.get(ancestor.tgid)?.values() ?? []) {
        table.text ??= this.#readTable(table);
        if (table.text?.includes(line) === true) return table;
      }
      parent = ancestor.parent;
    }
    return undefined;
  }

  #readWords(task: bigint): string[] {
    const { pgd } = this.#guest.tasks.read(task);
    const mm = this.#guest.kernel.at("task_struct", task).follow("mm");
    return mm === undefined ? [] : splitWords(readCommandLine(mm, this.#guest.kernel.space(pgd)));
  }
}

/** Finds the key of the inode of a regular file; undefined for all others. */
export function findFileKey(inode: StructCursor | undefined): string | undefined {
  if (inode === undefined || getFileFormat(inode.number("i_mode")) !== FileFormat.regular) return undefined;
  return readFileNumbers(inode).join(":");
}

/** Reads the numbers by which an inode is known: of its device, and its own. */
export function readFileNumbers(inode: StructCursor): [device: bigint, number: bigint] {
  return [inode.follow("i_sb")?.value("s_dev") ?? 0n, inode.value("i_ino")];
}

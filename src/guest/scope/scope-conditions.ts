import type { GuestCondition, GuestPath, GuestTest, TestedRegister } from "../../machine/callbacks/guest-condition";
import { GuestSet } from "../../machine/callbacks/guest-set";
import { KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { CurrentTask } from "../events/current-task";

/** FMODE_WRITE (include/linux/fs.h). */
const FMODE_WRITE = 2n;
/** The bit of regular files (S_IFREG of include/uapi/linux/stat.h), which pipes, devices and directories lack. */
const S_IFREG = 0o100000n;
/** A daemon that runs jobs is so far above them. */
export const MOST_ANCESTORS = 4;
/** Control groups lie no deeper. */
export const MOST_GROUPS = 32;

/**
 * What of a scope the addon knows, and the conditions by which it decides which hits of a hook a script sees. What the system does
 * for itself costs no call then. Each set is kept up to date by those who know.
 */
export class ScopeConditions {
  /** Tasks of the scope, by the address of the task_struct. */
  readonly living = new GuestSet();
  /** Tasks of the scope that are within do_exit(). */
  readonly ending = new GuestSet();
  /** The task that will execute the target. */
  readonly launcher = new GuestSet();
  /** Files that the scope has opened for writing: device and number of the inode. */
  readonly files = new GuestSet();
  /** Names of units of systemd. */
  readonly units = new GuestSet();
  /** Processes that start jobs out of tables which the scope has written. */
  readonly daemons = new GuestSet();
  /** Programs that the kernel was asked for: addresses of subprocess_info. */
  readonly helpers = new GuestSet();
  /** Of the kernel's pointers, in bytes. */
  readonly pointerSize: 4 | 8;
  readonly #guest: LinuxGuest;
  readonly #created: GuestSet[] = [];
  readonly #place: bigint;
  readonly #entering: GuestPath;

  /** @throws KernelDataError when this kernel does not say which task runs */
  constructor(guest: LinuxGuest) {
    this.#guest = guest;
    this.pointerSize = guest.kernel.bits === 64 ? 8 : 4;
    const { place, entering } = new CurrentTask(guest);
    if (place === undefined || entering === undefined)
      throw new KernelDataError("the current task", 0n, "the kernel does not say it");
    this.#place = place;
    this.#entering = entering;
  }

  /** Creates a set that goes with the others. */
  createSet(): GuestSet {
    const set = new GuestSet();
    this.#created.push(set);
    return set;
  }

  /** Holds while a task of the scope runs in the kernel. */
  get running(): GuestCondition {
    return [[this.runs(this.living)]];
  }

  /** Holds where a task of the scope enters the kernel by a system call, at the first instruction of it. */
  get entering(): GuestCondition {
    return [[{ ...this.#entering, is: this.living }]];
  }

  /** The running task is in a set. */
  runs(set: GuestSet): GuestTest {
    return { ...this.#current, is: set };
  }

  /** An argument of the function is in a set. */
  argument(index: 0 | 1 | 2 | 3, set: GuestSet): GuestTest {
    return { ...this.#argument(index), is: set };
  }

  /** The stack pointer has a value that a set has. */
  stack(set: GuestSet): GuestTest {
    return { from: "RSP", via: [], is: set };
  }

  /** An argument is an open file that can be written, and is no pipe, socket or device. */
  canWrite(index: 0 | 1 | 2 | 3): GuestTest[] {
    const mode = (at: readonly number[]) => ({ at, size: 4 }) as const;
    return [
      { ...this.#argument(index), values: [mode([this.#at("file", "f_mode")])], is: FMODE_WRITE },
      { ...this.#argument(index), values: [mode([this.#at("file", "f_inode"), this.#at("inode", "i_mode")])], is: S_IFREG }, // prettier-ignore
    ];
  }

  /** An argument leads, by these members, to the inode of a file that the scope has opened for writing. */
  leadsToFile(index: 0 | 1 | 2 | 3, ...members: readonly (readonly [struct: string, member: string])[]): GuestTest {
    const { from, via } = this.#argument(index);
    return this.#isFile({ from, via }, members);
  }

  /** The running task's program is a file that the scope has opened for writing. */
  get runsFile(): GuestTest {
    return this.#isFile(this.#current, [
      ["task_struct", "mm"],
      ["mm_struct", "exe_file"],
      ["file", "f_inode"],
    ]);
  }

  /** The running task's control group, or one that it is in, has the name of a unit; undefined without control groups. */
  get runsInUnit(): GuestTest | undefined {
    const { kernel } = this.#guest;
    const via = [
      kernel.findMember("task_struct", "cgroups"),
      kernel.findMember("css_set", "dfl_cgrp"),
      kernel.findMember("cgroup", "kn"),
    ].map((place) => place?.offset);
    const parent = kernel.findMember("kernfs_node", "__parent", "parent")?.offset;
    if (via.includes(undefined) || parent === undefined) return undefined;
    return {
      from: this.#current.from,
      via: [...this.#current.via, ...via.map((offset) => BigInt(offset!))],
      walk: { next: parent, most: MOST_GROUPS },
      values: [{ at: [this.#at("kernfs_node", "name")], size: "text" }],
      is: this.units,
    };
  }

  /** A process above the running one is among the daemons. */
  get isJob(): GuestTest {
    const parent = this.#at("task_struct", "real_parent");
    return {
      from: this.#current.from,
      via: [...this.#current.via, BigInt(parent)],
      walk: { next: parent, most: MOST_ANCESTORS },
      values: [{ at: [this.#at("task_struct", "tgid")], size: 4 }],
      is: this.daemons,
    };
  }

  /** Gives the sets up: nothing that asks them holds any more. */
  dispose(): void {
    const { living, ending, launcher, files, units, daemons, helpers } = this;
    for (const set of [living, ending, launcher, files, units, daemons, helpers, ...this.#created]) set.dispose();
  }

  get #current(): { readonly from: TestedRegister; readonly via: readonly bigint[] } {
    return { from: this.pointerSize === 8 ? "GS_BASE" : "FS_BASE", via: [this.#place] };
  }

  /** The System V ABI for x86-64; on 32 bits the kernel is compiled with -mregparm=3, and the fourth is on the stack. */
  #argument(index: 0 | 1 | 2 | 3): { readonly from: TestedRegister; readonly via: readonly bigint[] } {
    if (this.pointerSize === 8) return { from: (["RDI", "RSI", "RDX", "RCX"] as const)[index], via: [] };
    return index === 3 ? { from: "RSP", via: [4n] } : { from: (["RAX", "RDX", "RCX"] as const)[index], via: [] };
  }

  #isFile(
    { from, via }: { readonly from: TestedRegister; readonly via: readonly bigint[] },
    members: readonly (readonly [struct: string, member: string])[],
  ): GuestTest {
    return {
      from,
      via: [...via, ...members.map(([struct, member]) => BigInt(this.#at(struct, member)))],
      values: [
        { at: [this.#at("inode", "i_sb"), this.#at("super_block", "s_dev")], size: 4 },
        { at: [this.#at("inode", "i_ino")], size: this.pointerSize },
      ],
      is: this.files,
    };
  }

  #at(struct: string, member: string): number {
    return this.#guest.kernel.offset(struct, member);
  }
}

/** Tells what system calls have done to files. */
import type { LinuxProcess } from "rebox";
import { readNumber, readPath, resolvePath } from "./act-arguments";
import { type Act, type FindAct, findPath, onSuccess, type ReportAct } from "./acts";
import { O_TRUNC, SET_FLAGS, WRITES_FIRST, WRITES_THIRD } from "./call-choices";
import type { Traced } from "../traced-processes";

const S_IFDIR = 0o040000;
/** The two files change places (include/uapi/linux/fs.h). */
const RENAME_EXCHANGE = 2n;

/** A path in the caller's memory, with the descriptor of the folder that it is relative to. */
interface PathArgument {
  readonly folder: bigint | undefined;
  readonly address: bigint;
  /** The path as read before the call; undefined while it is not in memory, which it is once the kernel has read it. */
  readonly early: string | undefined;
}

/** Has the writes to a descriptor of an address space no longer looked at, until the descriptor may be another file. */
export type SettleDescriptor = (pgd: bigint, descriptor: bigint) => void;

/** Watches calls that make, change, move or remove files. */
export class FileActs {
  readonly calls: Readonly<Record<string, FindAct>>;
  /** Files that are told of, with who has written them. */
  private readonly written = new Set<string>();

  constructor(
    private readonly report: ReportAct,
    private readonly settle: SettleDescriptor,
  ) {
    const at = (folder: bigint | undefined, address: bigint, { pgd }: Traced): PathArgument => {
      return { folder, address, early: readPath(pgd, address) };
    };
    const here = undefined;
    this.calls = {
      ...Object.fromEntries(
        WRITES_FIRST.map((call) => [call, ([fd = 0n]: readonly bigint[], who: Traced) => this.writing(who, fd)]),
      ),
      ...Object.fromEntries(
        WRITES_THIRD.map((call) => [call, ([, , fd = 0n]: readonly bigint[], who: Traced) => this.writing(who, fd)]),
      ),
      // What was in the file is gone with this.
      open: (_values, who) => this.truncating(who),
      openat: (_values, who) => this.truncating(who),
      creat: (_values, who) => this.truncating(who),
      openat2: ([, , how = 0n], who) =>
        (readNumber(who.pgd, how) & O_TRUNC) === 0n ? undefined : this.truncating(who),
      truncate: ([path = 0n], who) => this.onPath("file.written", who, at(here, path, who)),
      unlink: ([path = 0n], who) => this.onPath("file.removed", who, at(here, path, who)),
      rmdir: ([path = 0n], who) => this.onPath("file.removed", who, at(here, path, who)),
      unlinkat: ([folder, path = 0n], who) => this.onPath("file.removed", who, at(folder, path, who)),
      rename: ([from = 0n, to = 0n], who) => this.onPaths("file.renamed", who, at(here, from, who), at(here, to, who)),
      renameat: ([a, from = 0n, b, to = 0n], who) =>
        this.onPaths("file.renamed", who, at(a, from, who), at(b, to, who)),
      renameat2: ([a, from = 0n, b, to = 0n, flags = 0n], who) => {
        const facts = (flags & RENAME_EXCHANGE) === 0n ? {} : { exchanged: true };
        return this.onPaths("file.renamed", who, at(a, from, who), at(b, to, who), facts);
      },
      link: ([from = 0n, to = 0n], who) => this.onPaths("file.linked", who, at(here, from, who), at(here, to, who)),
      linkat: ([a, from = 0n, b, to = 0n], who) => this.onPaths("file.linked", who, at(a, from, who), at(b, to, who)),
      symlink: ([text = 0n, path = 0n], who) => this.symlink(who, text, at(here, path, who)),
      symlinkat: ([text = 0n, folder, path = 0n], who) => this.symlink(who, text, at(folder, path, who)),
      mkdir: ([path = 0n], who) => this.onPath("file.made", who, at(here, path, who), { kind: "folder" }),
      mkdirat: ([folder, path = 0n], who) => this.onPath("file.made", who, at(folder, path, who), { kind: "folder" }),
      mknod: ([path = 0n, mode = 0n], who) =>
        this.onPath("file.made", who, at(here, path, who), { kind: kindOf(mode) }),
      mknodat: ([folder, path = 0n, mode = 0n], who) =>
        this.onPath("file.made", who, at(folder, path, who), { kind: kindOf(mode) }),
      chmod: ([path = 0n, mode = 0n], who) =>
        this.onPath("file.mode", who, at(here, path, who), { mode: showMode(mode) }),
      fchmod: ([fd = 0n, mode = 0n], who) => this.onDescriptor("file.mode", who, fd, { mode: showMode(mode) }),
      fchmodat: ([folder, path = 0n, mode = 0n], who) =>
        this.onPath("file.mode", who, at(folder, path, who), { mode: showMode(mode) }),
      fchmodat2: ([folder, path = 0n, mode = 0n], who) =>
        this.onPath("file.mode", who, at(folder, path, who), { mode: showMode(mode) }),
      chown: ([path = 0n, ...ids], who) => this.onPath("file.owner", who, at(here, path, who), showOwner(ids)),
      lchown: ([path = 0n, ...ids], who) => this.onPath("file.owner", who, at(here, path, who), showOwner(ids)),
      fchown: ([fd = 0n, ...ids], who) => this.onDescriptor("file.owner", who, fd, showOwner(ids)),
      fchownat: ([folder, path = 0n, ...ids], who) =>
        this.onPath("file.owner", who, at(folder, path, who), showOwner(ids)),
      utime: ([path = 0n], who) => this.onPath("file.times", who, at(here, path, who)),
      utimes: ([path = 0n], who) => this.onPath("file.times", who, at(here, path, who)),
      futimesat: ([folder, path = 0n], who) => this.onPath("file.times", who, at(folder, path, who)),
      // Without a path it is about the descriptor itself: futimens(3).
      utimensat: ([folder = 0n, path = 0n], who) =>
        path === 0n
          ? this.onDescriptor("file.times", who, folder)
          : this.onPath("file.times", who, at(folder, path, who)),
      setxattr: ([path = 0n, name = 0n], who) => this.attribute(who, name, at(here, path, who)),
      lsetxattr: ([path = 0n, name = 0n], who) => this.attribute(who, name, at(here, path, who)),
      fsetxattr: ([fd = 0n, name = 0n], who) =>
        this.onDescriptor("file.attribute", who, fd, { name: readPath(who.pgd, name) }),
      ioctl: ([fd = 0n, request = 0n], who) =>
        BigInt.asUintN(32, request) === SET_FLAGS
          ? this.onDescriptor("file.attribute", who, fd, { name: "flags" })
          : undefined,
      mount: ([source = 0n, path = 0n, type = 0n], who) => {
        const [from, kind] = [readPath(who.pgd, source), readPath(who.pgd, type)];
        return this.onPath("file.mounted", who, at(here, path, who), { from, kind });
      },
      umount: ([path = 0n], who) => this.onPath("file.unmounted", who, at(here, path, who)),
      // mount(8) of util-linux since 2.39: what is mounted hangs on a descriptor, of open_tree() or fsmount(), and has no path.
      move_mount: ([, from = 0n, folder, to = 0n], who) => {
        const name = readPath(who.pgd, from);
        return this.onPath("file.mounted", who, at(folder, to, who), name === "" ? {} : { from: name });
      },
    };
  }

  private writing(caller: Traced, descriptor: bigint): Act {
    return onSuccess((process) => {
      this.settle(caller.pgd, descriptor);
      this.tellWritten(caller, process, descriptor);
    });
  }

  private truncating(caller: Traced): Act {
    return onSuccess((process, descriptor) => this.tellWritten(caller, process, descriptor));
  }

  private tellWritten(caller: Traced, process: LinuxProcess | undefined, descriptor: bigint): void {
    const file = process?.findOpenFile(Number(BigInt.asIntN(32, descriptor)));
    if (file?.type !== "file") return;
    this.tellPath(caller, file.path);
  }

  /** Tells that a process has written, or made, a file; once. */
  tellPath(caller: Traced, path: string): void {
    if (this.isNewWriter(caller, path)) this.report("file.written", caller, { path });
  }

  /** Notes that a process writes a file; returns whether it is the first time. */
  isNewWriter({ pid }: Traced, path: string): boolean {
    const key = `${pid} ${path}`;
    if (this.written.has(key)) return false;
    this.written.add(key);
    return true;
  }

  private onPath(act: string, caller: Traced, path: PathArgument, facts: object = {}): Act {
    return onSuccess((process) => this.report(act, caller, { path: resolve(process, caller, path), ...facts }));
  }

  private onPaths(act: string, caller: Traced, from: PathArgument, to: PathArgument, facts: object = {}): Act {
    return onSuccess((process) =>
      this.report(act, caller, { path: resolve(process, caller, from), to: resolve(process, caller, to), ...facts }),
    );
  }

  private onDescriptor(act: string, caller: Traced, descriptor: bigint, facts: object = {}): Act {
    return onSuccess((process) => {
      const path = findPath(process, descriptor);
      if (path !== undefined) this.report(act, caller, { path, ...facts });
    });
  }

  /** A symbolic link holds any text: it is told as it is. */
  private symlink(caller: Traced, text: bigint, path: PathArgument): Act {
    const early = readPath(caller.pgd, text);
    return onSuccess((process) =>
      this.report("file.linked", caller, {
        ...{ path: early ?? readPath(caller.pgd, text) ?? "?", to: resolve(process, caller, path), kind: "symbolic" },
      }),
    );
  }

  private attribute(caller: Traced, name: bigint, path: PathArgument): Act {
    const early = readPath(caller.pgd, name);
    return onSuccess((process) =>
      this.report("file.attribute", caller, {
        ...{ path: resolve(process, caller, path), name: early ?? readPath(caller.pgd, name) },
      }),
    );
  }
}

function resolve(process: LinuxProcess | undefined, { pgd }: Traced, { folder, address, early }: PathArgument): string {
  return resolvePath(process, folder, early ?? readPath(pgd, address));
}

function showMode(mode: bigint): string {
  return (Number(mode) & 0o7777).toString(8).padStart(4, "0");
}

/** Minus one leaves an owner as it is. */
function showOwner([uid = 0n, gid = 0n]: readonly bigint[]): object {
  const id = (value: bigint) => (BigInt.asIntN(32, value) === -1n ? undefined : Number(BigInt.asUintN(32, value)));
  return { uid: id(uid), gid: id(gid) };
}

/** The kinds of mknod(2): the bits of S_IFMT. */
function kindOf(mode: bigint): string {
  const kinds: Readonly<Record<number, string>> = {
    ...{ 0: "file", 0o100000: "file", 0o010000: "pipe", 0o020000: "character device", 0o060000: "block device" },
    ...{ 0o140000: "socket", [S_IFDIR]: "folder" },
  };
  return kinds[Number(mode) & 0o170000] ?? "?";
}

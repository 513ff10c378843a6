import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { StructCursor } from "../../systems/structs/struct-cursor";
import { readArgument } from "../events/kernel-hooks";
import { type HookCallbacks, ScopeHooks } from "./scope-hooks";
import type { TargetScope } from "./target-scope";
import { findFileKey } from "./written-files";

/** PATH_MAX of include/uapi/linux/limits.h. */
const LONGEST_PATH = 4096;
/** include/uapi/asm-generic/fcntl.h */
const O_TRUNC = 0o1000n;
/** include/uapi/linux/fs.h */
const RENAME_EXCHANGE = 2;
/** The request is done and its result is in it (IOU_OK), or it is done later (IOU_ISSUE_SKIP_COMPLETE): include/linux/io_uring_types.h. */
const DONE = 0n;
const DONE_LATER = -529n;
// include/net/tcp_states.h, include/uapi/linux/in.h
const TCP_CLOSE = 7;
const IPPROTO_TCP = 6;

/** A file that a request has changed. */
export interface RingFile {
  readonly kind: "written" | "made" | "removed" | "renamed" | "linked" | "linked by text";
  readonly path: string;
  /** The descriptor of the folder that the path is relative to; undefined for one of the whole system. */
  readonly folder?: number;
  /** The new name, of those that have one. */
  readonly to?: string;
  readonly toFolder?: number;
  /** The two have changed places. */
  readonly isExchange?: boolean;
}

/** A connection that a request has begun to make. */
export interface RingConnection {
  readonly kind: "connects";
  /** The address of the struct sock. */
  readonly sock: bigint;
  /** Where the program has the address that it connects to, and its size in bytes. */
  readonly address: bigint;
  readonly size: bigint;
}

/** A request of io_uring that was carried out, and the process that made it. */
export type RingRequest = { readonly pid: number } & (RingFile | RingConnection);

/** Reads a request before it is carried out; undefined when it is nothing to tell. */
type ReadRequest = (request: bigint) => RingFile | undefined;

/**
 * Tells requests of io_uring that change files or reach the network, of a scope's processes, whichever thread carries them out. They
 * are seen at the functions that io_uring/opdef.c has in its table.
 */
export class RingRequests {
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #scope: TargetScope;
  readonly #listener: (request: RingRequest) => void;

  /** @param onProblem called when the kernel's data cannot be read */
  constructor(
    guest: LinuxGuest,
    callbacks: HookCallbacks,
    scope: TargetScope,
    listener: (request: RingRequest) => void,
    onProblem: (text: string) => void,
  ) {
    this.#guest = guest;
    this.#scope = scope;
    this.#listener = listener;
    this.#hooks = new ScopeHooks(guest, callbacks, scope.conditions, onProblem);
  }

  /** Hooks the functions; what this kernel lacks is not seen. */
  hook(): void {
    const add = (functions: readonly string[], read: ReadRequest): void =>
      void this.#hooks.addAll(functions, (cpu, current) => this.#onRequest(cpu, current, read));
    const at = (type: string, request: bigint): StructCursor => this.#guest.kernel.at(type, request);
    add(["io_write", "io_fallocate", "io_ftruncate", "io_splice"], (request) => this.#readWritten(request));
    add(["io_openat2"], (request) => {
      const open = at("io_open", request);
      return (open.value("how.flags") & O_TRUNC) === 0n ? undefined : readOne("written", open);
    });
    add(["io_unlinkat"], (request) => readOne("removed", at("io_unlink", request)));
    add(["io_mkdirat"], (request) => readOne("made", at("io_mkdir", request)));
    add(["io_renameat"], (request) => {
      const rename = at("io_rename", request);
      return { ...readTwo("renamed", rename), isExchange: (rename.number("flags") & RENAME_EXCHANGE) !== 0 };
    });
    add(["io_linkat"], (request) => readTwo("linked", at("io_link", request)));
    add(["io_symlinkat"], (request) => readTwo("linked by text", at("io_link", request)));
    this.#hooks.addAll(["io_connect"], (cpu, current) => this.#onConnect(cpu, current));
  }

  #onRequest(cpu: Cpu, current: bigint, read: ReadRequest): void {
    const { kernel } = this.#guest;
    const pid = this.#scope.findPid(current);
    const request = readArgument(cpu, 0, kernel.bits);
    const facts = pid === undefined ? undefined : read(request);
    if (pid === undefined || facts === undefined) return;
    this.#hooks.onReturn(cpu, (returned) => {
      const result = BigInt.asIntN(32, returned);
      if (result !== DONE_LATER && (result !== DONE || kernel.at("io_kiocb", request).number("cqe.res") < 0)) return;
      this.#listener({ pid, ...facts });
    });
  }

  #readWritten(request: bigint): RingFile | undefined {
    const file = this.#guest.kernel.at("io_kiocb", request).follow("file");
    if (file === undefined || findFileKey(file.follow("f_inode")) === undefined) return undefined;
    return { kind: "written", path: this.#guest.paths.readFile(file.address) };
  }

  /** It is called again when the connection is made, or refused. */
  #onConnect(cpu: Cpu, current: bigint): void {
    const { kernel } = this.#guest;
    const pid = this.#scope.findPid(current);
    if (pid === undefined) return;
    const connect = kernel.at("io_connect", readArgument(cpu, 0, kernel.bits));
    const socket = connect.follow("file")?.value("private_data") ?? 0n;
    const sock = socket === 0n ? undefined : kernel.at("socket", socket).follow("sk");
    if (sock === undefined || sock.number("sk_protocol") !== IPPROTO_TCP) return;
    if (kernel.at("sock_common", sock.address).number("skc_state") !== TCP_CLOSE) return;
    const size = BigInt(connect.number("addr_len"));
    this.#listener({ pid, kind: "connects", sock: sock.address, address: connect.value("addr"), size });
  }
}

function readOne(kind: RingFile["kind"], request: StructCursor): RingFile {
  return { kind, path: readName(request, "filename"), folder: request.number("dfd") };
}

function readTwo(kind: RingFile["kind"], request: StructCursor): RingFile {
  return {
    ...{ kind, path: readName(request, "oldpath"), folder: request.number("old_dfd") },
    ...{ to: readName(request, "newpath"), toFolder: request.number("new_dfd") },
  };
}

/** Reads the name in a struct filename, which the kernel has copied from the program. */
function readName(request: StructCursor, member: string): string {
  return request.follow(member)?.text(LONGEST_PATH, "name") ?? "?";
}

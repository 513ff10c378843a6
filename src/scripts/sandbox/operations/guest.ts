import { findFunctions, findThreadPlaces } from "../../../guest/hooking/find-functions";
import {
  diagnoseGuest,
  findGuest,
  findGuestRefusal,
  findSystem,
  getGuest,
  getSystem,
  waitForGuest,
} from "../../../guest/guest";
import { writeGuestTypes, writeIsf } from "../../../guest/kernel-types";
import * as system from "../../../guest/operating-system";
import { listSystemCallEntries, listSystemCalls } from "../../../guest/system-calls";
import { backtrace, type BacktraceThread } from "../../../guest/unwinding/guest-backtrace";
import type { GuestModule, GuestProcess, GuestSystem } from "../../../systems/guest-system";
import { LinuxGuest } from "../../../systems/linux/linux-guest";
import { LinuxProcess } from "../../../systems/linux/linux-process";
import type { VirtualMemory } from "../../../systems/memory/virtual-memory";
import { readProcess } from "../../../systems/windows/processes/process-reader";
import { WindowsGuest } from "../../../systems/windows/windows-guest";
import { WindowsProcess } from "../../../systems/windows/windows-process";
import { type DescribedObject, describeObject, getter, member, operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

const ASYNC = { isAsync: true } as const;
const FROZEN = { result: "frozen" } as const;
const OBJECT = { result: "object" } as const;

/** The guest's system, as functions of "rebox". */
export const SYSTEM_OPERATIONS: Operations = {
  backtrace: operation(["any"], (_session, of) => backtrace(of as number | BacktraceThread | undefined)),
  diagnoseGuest: operation([], () => diagnoseGuest()),
  findProcess: operation(["any"], (session, which) => findProcess(session, addSystem(session), which), OBJECT),
  findGuest: operation([], (session) => describe(session, findGuest()), OBJECT),
  findSystem: operation([], (session) => describe(session, findSystem()), OBJECT),
  findGuestRefusal: operation([], () => findGuestRefusal()),
  getGuest: operation([], (session) => describe(session, getGuest()), OBJECT),
  getModuleList: operation(["bigint"], (_session, pgd) => system.getModuleList(pgd).map(describeModule), OBJECT),
  getOsBits: operation([], () => system.getOsBits()),
  getProcessList: operation([], (session) => describeProcesses(session, addSystem(session)), OBJECT),
  getSymbolList: operation(["bigint", "string?"], (_, pgd, pattern) => system.getSymbolList(pgd, pattern), FROZEN),
  listSystemCallEntries: operation([], () => listSystemCallEntries()),
  listSystemCalls: operation([], () => listSystemCalls()),
  getSystem: operation([], (session) => describe(session, getSystem()), OBJECT),
  getSystemTime: operation([], () => system.getSystemTime()),
  symToVa: operation(["bigint", "string", "string"], (_, pgd, module, name) => system.symToVa(pgd, module, name)),
  vaToSym: operation(["bigint", "bigint"], (_, pgd, address) => system.vaToSym(pgd, address)),
  waitForGuest: operation(["number?"], async (session, timeoutMs) => describe(session, await waitForGuest(timeoutMs)), {
    ...ASYNC,
    ...OBJECT,
  }),
  writeGuestTypes: operation(["string"], ({ files }, path) => writeGuestTypes(files.getPath(path))),
  writeIsf: operation(["string"], ({ files }, path) => writeIsf(files.getPath(path))),
};

/** For hooks on functions, which the sandbox's own code sets: realm/fast/hooks.ts. */
export const HOOK_OPERATIONS: Operations = {
  "hooks.findFunctions": operation(["bigint", "bigint", "any"], (_session, pgd, base, which) =>
    findFunctions(pgd, base, typeof which === "bigint" ? which : String(which)),
  ),
  "hooks.findSystemKind": operation([], () => findSystem()?.kind),
  "hooks.findThreadPlaces": operation([], () => findThreadPlaces()),
};

const GUEST = ["number"] as const;
const PROCESS = ["number", "bigint", "number", "number"] as const;
const MEMORY = ["number", "bigint"] as const;

/** The members of a process that are read when they are asked for. */
const PROCESS_PARTS = [
  ...(["tgid", "uid", "credentials", "threads", "livingThread", "executable", "startTime", "startTimeNs"] as const),
  ...(["commandLine", "commandLineBytes", "environment", "isAlive"] as const),
  ...(["workingFolder", "rootFolder"] as const),
  ...(["memoryMap", "openFiles", "sockets", "mounts"] as const),
];

/** The members of a process of Windows that are read when they are asked for. */
const WINDOWS_PROCESS_PARTS = [
  ...([
    "commandLine",
    "commandLineText",
    "environment",
    "executable",
    "imageFile",
    "isWow64",
    "workingFolder",
  ] as const),
  ...(["startTime", "isAlive", "threads", "memoryMap", "handles", "token"] as const),
];

/** The lists of a Windows guest that are plain values. */
const WINDOWS_GUEST_LISTS = [
  ...(["getKernelModules", "getHives", "getCallbacks", "getServices", "compareProcessViews"] as const),
];

const MEMORY_CALLS = [
  ...(["read", "readSome", "view", "u8", "u16", "u32", "u64", "pointer", "text", "translate"] as const),
];

/** The objects that getGuest() leads to. Structs are apart: structs.ts. */
export const GUEST_OPERATIONS: Operations = {
  "Guest.clock": getter(GUEST, ({ guests }, id) => guests.get(id).clock, FROZEN),
  "Guest.findProcess": member(GUEST, ["any"], findProcess, OBJECT),
  // realm/guest.ts takes structs too.
  "guest.pathOf": operation(["number", "bigint"], ({ guests }, id, file) => guests.get(id).pathOf(file)),
  "Guest.getKernelLog": member(GUEST, [], ({ guests }, id) => guests.get(id).getKernelLog(), FROZEN),
  "Guest.getKernelModules": member(GUEST, [], ({ guests }, id) => guests.get(id).getKernelModules(), FROZEN),
  "Guest.getProcessList": member(GUEST, [], describeProcesses, OBJECT),
  "Guest.getNeighbours": member(GUEST, [], ({ guests }, id) => guests.get(id).getNeighbours(), FROZEN),
  "Guest.getNetworkInterfaces": member(GUEST, [], ({ guests }, id) => guests.get(id).getNetworkInterfaces(), FROZEN),
  "Guest.hostName": getter(GUEST, ({ guests }, id) => guests.get(id).hostName),
  // realm/guest.ts makes a map of processes of it.
  "guest.listSocketOwners": operation(["number", "any"], ({ guests }, id, pids) => {
    const [guest, wanted] = [guests.get(id), new Set(pids as number[])];
    const owners = guest.getSocketOwners(guest.getProcessList().filter(({ pid }) => wanted.has(pid)));
    return [...owners].map(([socket, processes]) => [socket, processes.map(({ pid }) => pid)]);
  }),
  "Guest.getSockets": member(GUEST, [], ({ guests }, id) => guests.get(id).getSockets(), FROZEN),

  "GuestKernel.findSymbol": member(GUEST, ["string..."], ({ guests }, id, ...names) =>
    guests.get(id).kernel.findSymbol(...names),
  ),
  "GuestKernel.offset": member(GUEST, ["string", "string..."], ({ guests }, id, struct, ...paths) =>
    guests.get(id).kernel.offset(struct, ...paths),
  ),
  "GuestKernel.sizeOf": member(GUEST, ["string"], ({ guests }, id, struct) => guests.get(id).kernel.sizeOf(struct)),
  "GuestKernel.space": member(GUEST, ["bigint"], (_, id, pgd) => describeObject("GuestMemory", [id, pgd]), OBJECT),
  "GuestKernel.symbol": member(GUEST, ["string..."], ({ guests }, id, ...names) =>
    guests.get(id).kernel.symbol(...names),
  ),

  "GuestTasks.list": member(GUEST, [], ({ guests }, id) => [...guests.get(id).tasks.list()], { result: "iterator" }),
  "GuestTasks.read": member(GUEST, ["bigint"], ({ guests }, id, kaddr) => guests.get(id).tasks.read(kaddr), FROZEN),

  "GuestSymbols.findAddress": member(GUEST, ["bigint", "string", "string"], ({ systems }, id, pgd, module, name) =>
    systems.get(id).symbols.findAddress(pgd, module, name),
  ),
  "GuestSymbols.findSymbol": member(GUEST, ["bigint", "bigint"], ({ systems }, id, pgd, address) =>
    systems.get(id).symbols.findSymbol(pgd, address),
  ),
  "GuestSymbols.getModules": member(
    GUEST,
    ["bigint"],
    ({ systems }, id, pgd) => systems.get(id).symbols.getModules(pgd).map(describeModule),
    OBJECT,
  ),
  "GuestSymbols.findModule": member(
    GUEST,
    ["bigint", "bigint"],
    ({ systems }, id, pgd, address) => {
      const module = systems.get(id).symbols.findModule(pgd, address);
      return module && describeModule(module);
    },
    OBJECT,
  ),
  "GuestSymbols.resolve": member(GUEST, ["bigint", "any", "string"], ({ systems }, id, pgd, module, name) => {
    if (module !== undefined && typeof module !== "string") throw new TypeError("a module is given by its name");
    return systems.get(id).symbols.resolve(pgd, module, name);
  }),
  "GuestSymbols.search": member(
    GUEST,
    ["bigint", "string"],
    ({ systems }, id, pgd, pattern) => [...systems.get(id).symbols.search(pgd, pattern)],
    { result: "iterator" },
  ),

  "WindowsGuest.build": getter(GUEST, ({ systems }, id) => getWindows(systems.get(id)).build),
  "WindowsGuest.clock": getter(GUEST, ({ systems }, id) => systems.get(id).clock, FROZEN),
  "WindowsGuest.findProcess": member(GUEST, ["any"], findProcess, OBJECT),
  ...Object.fromEntries(
    WINDOWS_GUEST_LISTS.map((list) => [
      `WindowsGuest.${list}`,
      member(GUEST, [], ({ systems }, id) => getWindows(systems.get(id))[list](), FROZEN),
    ]),
  ),
  "WindowsGuest.findRegistryKey": member(
    GUEST,
    ["string"],
    ({ systems }, id, path) => getWindows(systems.get(id)).findRegistryKey(path),
    FROZEN,
  ),
  "WindowsGuest.getProcessList": member(GUEST, [], describeProcesses, OBJECT),
  ...Object.fromEntries(
    WINDOWS_PROCESS_PARTS.map((part) => [
      `WindowsProcess.${part}`,
      getter(PROCESS, (session, id, kaddr, pid) => findWindowsProcess(session, id, kaddr, pid)[part], FROZEN),
    ]),
  ),
  "WindowsProcess.findHandle": member(
    PROCESS,
    ["number"],
    (session, id, kaddr, pid, _ppid, handle) => findWindowsProcess(session, id, kaddr, pid).findHandle(handle),
    FROZEN,
  ),
  "WindowsProcess.modules": getter(
    PROCESS,
    (session, id, kaddr, pid) => findWindowsProcess(session, id, kaddr, pid).modules.map(describeModule),
    OBJECT,
  ),

  ...Object.fromEntries(
    PROCESS_PARTS.map((part) => [
      `GuestProcess.${part}`,
      getter(PROCESS, (session, ...key) => findByKey(session, ...key)[part], FROZEN),
    ]),
  ),
  "GuestProcess.readMemory": member(PROCESS, ["bigint", "number"], (session, id, kaddr, pid, ppid, address, size) =>
    findByKey(session, id, kaddr, pid, ppid).readMemory(address, size),
  ),
  ...Object.fromEntries(
    MEMORY_CALLS.map((call) => [
      `GuestMemory.${call}`,
      member(MEMORY, ["bigint", "number?"], (session, id, pgd, address, size) =>
        // Those that take no size do not look at it; the others say what is wrong with it.
        getMemory(session, id, pgd)[call](address, size as number),
      ),
    ]),
  ),
};

function describe(session: ScriptSession, system: GuestSystem | undefined): DescribedObject | undefined {
  if (system === undefined) return undefined;
  const id = addSystem(session, system);
  const facts = { kind: system.kind, version: system.version, bits: system.bits };
  const symbols = describeObject("GuestSymbols", [id]);
  if (!(system instanceof LinuxGuest)) return describeObject("WindowsGuest", [id], { ...facts, symbols });
  const { banner, release, bits, image, directMap } = system.kernel;
  const memory = describeObject("GuestMemory", [id, 0n]);
  const kernel = { banner, release, bits, image: { start: image.start, size: image.size }, directMap, memory };
  return describeObject("Guest", [id], {
    ...facts,
    kernel: describeObject("GuestKernel", [id], kernel),
    tasks: describeObject("GuestTasks", [id]),
    symbols,
  });
}

/** Gives the system that the guest runs its number. */
function addSystem({ systems }: ScriptSession, system: GuestSystem = getSystem()): number {
  if (system instanceof LinuxGuest) return systems.add(system);
  return systems.add(getWindows(system));
}

/** @throws TypeError for another system */
function getWindows(system: GuestSystem): WindowsGuest {
  if (system instanceof WindowsGuest) return system;
  throw new TypeError(`this is ${system.version}, and no Windows`);
}

function describeModule({ contains: _, ...facts }: GuestModule): DescribedObject {
  return describeObject("GuestModule", [], facts);
}

function describeProcesses({ systems }: ScriptSession, id: number): DescribedObject[] {
  return systems
    .get(id)
    .getProcessList()
    .map((process) => describeProcess(id, process));
}

function describeProcess(system: number, process: GuestProcess): DescribedObject {
  const { pid, ppid, pgd, name, kaddr, isKernelThread } = process;
  const kind = process instanceof LinuxProcess ? "GuestProcess" : "WindowsProcess";
  return describeObject(kind, [system, kaddr, pid, ppid], { pid, ppid, pgd, name, kaddr, isKernelThread });
}

function findProcess({ systems }: ScriptSession, id: number, which: unknown): DescribedObject | undefined {
  const process = systems.get(id).findProcess(which as number);
  return process && describeProcess(id, process);
}

function findByKey(session: ScriptSession, id: number, kaddr: bigint, pid: number, ppid: number): LinuxProcess {
  const guest = session.guests.get(id);
  return new LinuxProcess(guest, { ...guest.tasks.read(kaddr), tgid: pid }, ppid);
}

function findWindowsProcess({ systems }: ScriptSession, id: number, kaddr: bigint, pid: number): WindowsProcess {
  const { kernel } = getWindows(systems.get(id));
  return new WindowsProcess(kernel, { ...readProcess(kernel, kaddr), pid });
}

/** @param pgd of a process; 0 for the kernel */
function getMemory({ guests }: ScriptSession, id: number, pgd: bigint): VirtualMemory {
  const { kernel } = guests.get(id);
  return pgd === 0n ? kernel.memory : kernel.space(pgd);
}

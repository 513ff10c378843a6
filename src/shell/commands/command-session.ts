import type { Moment } from "../../config/moment";
import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { getNumCpus, readCpu } from "../../machine/state/cpu";
import { findSystem } from "../../guest/guest";
import { KernelDataError } from "../../systems/errors";
import type { GuestProcess, GuestSystem } from "../../systems/guest-system";
import { findStillMachine, getMachine } from "../../machine/state/machine-access";
import { getRunningProcess } from "../../machine/state/processes";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { AddressNamer } from "./rendering/address-namer";
import { explainMissingSymbols } from "./rendering/missing-symbols";
import { CommandError } from "../errors";
import type { CommandValue } from "./command-result";
import { createDoors, type Doors } from "../../scripts/loading/doors";
import type { NameSource } from "./arguments/expression";

/** The process that a session looks at, or an address space of a system that rebox does not know. */
export interface ChosenProcess {
  readonly pid?: number;
  readonly pgd: bigint;
  readonly name: string;
}

/** Something that happened. */
export interface Notice {
  readonly text: string;
  readonly data: CommandValue;
  /** When it happened, where that matters. */
  readonly moment?: Moment;
}

/** One user's view of the guest: the vCPU and the process of commands, variables and aliases. */
export class CommandSession implements NameSource {
  /** Owns everything that the session registers in the guest: it is removed when the session ends. */
  readonly owner = new ModuleOwner("shell");
  readonly callbacks = new CallbackManager(0, this.owner);
  readonly variables = new Map<string, string>();
  readonly aliases = new Map<string, string>();
  /** The counts of instructions from which a replay was moved, the last one behind. */
  readonly pastPlaces: number[] = [];
  /** Places of a replay that have a name, by counts of instructions. */
  readonly marks = new Map<string, number>();
  /** The counts of the last list of hits in the time of a replay. */
  listedHits: readonly number[] = [];
  cpuIndex = 0;
  process: ChosenProcess | undefined;
  /** Set by "quit" of this session; the guest continues. */
  wantsEnd = false;

  /** Receives events that no command asked for: a breakpoint was hit. */
  onNotice: ((notice: Notice) => void) | undefined;
  /** Ends the hold of the guest in which the session was started, if it was. */
  release: (() => void) | undefined;
  /** Whether the callback in which it was started waits until the session has ended, not only for release. */
  isWaitedFor = false;
  /** Ends the running command for Ctrl-C; undefined when it cannot be ended. */
  cancel: (() => void) | undefined;
  /** Whether Ctrl-C has come for the running command: one that has not let the guest go yet does not do so. */
  isInterrupted = false;

  /** @param api the names that !EXPRESSION can use: those of all doors */
  constructor(readonly api: Doors = createDoors()) {}

  /** The address space that commands read: of the chosen process, or the one in which the vCPU runs. */
  get pgd(): bigint {
    const chosen = this.process?.pgd ?? 0n;
    if (chosen !== 0n) return chosen;
    // An image without registers is looked at through the kernel's own tables.
    return hasRegisters() ? getRunningProcess(this.cpuIndex) : getMachine().currentPgd(0);
  }

  get cpu() {
    if (!hasRegisters()) throw new CommandError("this image holds memory alone, no registers");
    if (this.cpuIndex >= getNumCpus()) throw new CommandError(`there is no vCPU ${this.cpuIndex}`);
    return readCpu(this.cpuIndex);
  }

  /** In bits, of the code that the vCPU executes now: by CS.L and CS.D (Intel SDM volume 3, 3.4.5). */
  get codeBits(): 16 | 32 | 64 {
    // An image need not hold it: code is the kernel's then.
    const segment = this.findRegister("CS_FLAGS");
    if (segment === undefined) return this.pointerSize === 8 ? 64 : 32;
    const flags = Number(segment);
    const isLong = this.pointerSize === 8;
    if (isLong && (flags & (1 << 21)) !== 0) return 64;
    return (flags & (1 << 22)) !== 0 ? 32 : 16;
  }

  /** The linear address of the vCPU's next instruction: RIP and the base of CS, which is 0 in 64-bit mode (Intel SDM volume 3, 3.4.4). */
  get codeAddress(): bigint {
    const { RIP, CS_BASE } = this.cpu;
    return this.codeBits === 64 ? RIP : BigInt.asUintN(32, CS_BASE + RIP);
  }

  /** The size of addresses in this guest, in bytes. */
  get pointerSize(): 4 | 8 {
    const image = findStillMachine();
    const efer = image ? (image.cpus()[0]?.efer ?? 0n) : this.cpu.EFER;
    return (efer & 0x400n) === 0n ? 4 : 8;
  }

  /** Finds the process in whose address space the vCPU runs. @returns undefined when there is none, or the guest's list is damaged */
  findRunningProcess(): GuestProcess | undefined {
    try {
      return findSystem()?.findProcess(getRunningProcess(this.cpuIndex));
    } catch (error) {
      if (error instanceof KernelDataError) return undefined;
      throw error;
    }
  }

  get prompt(): string {
    return `rebox${this.process === undefined ? "" : ` ${describeChosen(this.process)}`}> `;
  }

  findRegister(name: string): bigint | undefined {
    if (!hasRegisters()) return undefined;
    const value = (this.cpu as unknown as Record<string, unknown>)[name];
    return typeof value === "bigint" ? value : undefined;
  }

  findSymbol(module: string | undefined, name: string): bigint | undefined {
    const guest = findSystem();
    if (!guest || name !== "") return guest?.symbols.resolve(this.userPgd(guest), module, name);
    // Of a stripped program there is only the module itself.
    const pgd = this.userPgd(guest);
    const modules = (pgd === 0n ? [0n] : [0n, pgd]).flatMap((space) => guest.symbols.getModules(space));
    return modules.find((found) => found.name === module || found.path === module)?.base;
  }

  explainMissing(module: string): string | undefined {
    const guest = findSystem();
    return (
      guest &&
      explainMissingSymbols(
        guest.symbols,
        this.userPgd(guest),
        module,
        (name, path) => module === name || module === path,
      )
    );
  }

  findVariable(name: string): string | undefined {
    return this.variables.get(name);
  }

  /** Makes the namer of addresses for one command. */
  createNamer(): AddressNamer {
    const guest = findSystem();
    return new AddressNamer(guest, guest ? this.userPgd(guest) : 0n);
  }

  /** The address space of the chosen or running process as the guest's list has it; 0 when it is no process'. */
  userPgd(guest: GuestSystem): bigint {
    return guest.findProcess(this.pgd)?.pgd ?? 0n;
  }

  /** Removes everything that the session has registered in the guest. */
  close(): void {
    this.wantsEnd = true;
    this.owner.close();
  }
}

/** Returns "name:pid", or the address space alone. */
export function describeChosen({ name, pid }: ChosenProcess): string {
  return pid === undefined ? name : `${name}:${pid}`;
}

/** A machine has vCPUs; an image need not hold them. */
function hasRegisters(): boolean {
  return !findStillMachine() || getNumCpus() > 0;
}

import { AddressError } from "../../systems/errors";
import type { GuestModule } from "../../systems/guest-system";
import { RSP, type UnwindContext, X64Unwinder } from "../../systems/windows/unwinding/x64-unwinder";
import type { WindowsGuest } from "../../systems/windows/windows-guest";
import type { StackFrame } from "./stack-frame";

const MOST_FRAMES = 64;

/**
 * Follows the callers of what a vCPU of a 64-bit Windows executes, from the kernel into the program, by the unwind data of the
 * images. It ends where an image has none.
 *
 * @param pgd of the process that runs; 0 for none
 * @param start the vCPU's registers
 * @returns the frames, the innermost first
 */
export function unwindWindows(guest: WindowsGuest, pgd: bigint, start: UnwindContext): StackFrame[] {
  const process = pgd === 0n ? undefined : guest.findProcess(pgd);
  const modules = new ModuleSearch(guest, process ? pgd : 0n);
  const unwinder = new X64Unwinder(process ? process.space : guest.kernel.memory, (address) => modules.find(address));
  const frames: StackFrame[] = [toFrame(start, "registers")];
  for (let at = start; frames.length < MOST_FRAMES;) {
    const next = stepOrEnd(unwinder, at);
    if (!next || modules.find(next.ip) === undefined) break;
    // A stack that goes back is none, but for where the kernel was entered: its stack is another one.
    if (!next.isExact && (next.registers[RSP] as bigint) <= (at.registers[RSP] as bigint)) break;
    frames.push(toFrame(next, "unwind data"));
    at = next;
  }
  return frames;
}

function toFrame({ ip, registers }: UnwindContext, method: StackFrame["method"]): StackFrame {
  return { address: ip, stackPointer: registers[RSP] as bigint, method };
}

function stepOrEnd(unwinder: X64Unwinder, at: UnwindContext): UnwindContext | undefined {
  try {
    return unwinder.step(at);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

/** Finds modules by addresses; each list is read when it is needed first. */
class ModuleSearch {
  #kernel: readonly GuestModule[] | undefined;
  #user: readonly GuestModule[] | undefined;

  constructor(
    private readonly guest: WindowsGuest,
    private readonly pgd: bigint,
  ) {}

  find(address: bigint): bigint | undefined {
    const contains = (module: GuestModule): boolean => module.contains(address);
    if (address >> 63n === 1n) return (this.#kernel ??= this.guest.symbols.getModules(0n)).find(contains)?.base;
    if (this.pgd === 0n) return undefined;
    return (this.#user ??= this.guest.symbols.getModules(this.pgd)).find(contains)?.base;
  }
}

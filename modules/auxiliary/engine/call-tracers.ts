/** Knows the system calls of the guest's kernel, and how their arguments are shown. */
import { listSystemCalls, type SystemCall } from "rebox";
import { ArgumentKind, chooseKind, createShow, hex, type Show } from "../../../scripts/_system_call_arguments";

const UNKNOWN_REGISTERS = 6;
/** Calls from here on are those that programs of x32 alone have (arch/x86/entry/syscalls/syscall_64.tbl). */
const FIRST_OF_X32 = 512;

/** A system call, ready to be shown. */
export interface Tracer {
  readonly name: string;
  readonly bits: 32 | 64;
  /** Of pointers in what the arguments point to. */
  readonly pointerBits: 32 | 64;
  readonly shows: readonly Show[];
  /** Of each argument, ArgumentKind in 2 bits. */
  readonly kinds: number;
  readonly isRecorded: boolean;
}

/** The calls of a kernel, by their numbers. */
export class CallTracers {
  private readonly known: Record<32 | 64, Map<number, Tracer>> = { 32: new Map(), 64: new Map() };

  /** @param wanted names of the calls that are recorded; all when there is none */
  constructor(private readonly wanted: readonly string[]) {
    for (const call of listSystemCalls()) this.known[call.bits].set(call.number, this.create(call));
  }

  /** Lists those that the kernel has, with their numbers. */
  list(bits: 32 | 64): ReadonlyMap<number, Tracer> {
    return this.known[bits];
  }

  /** Gets one; of a number that the kernel does not have, too. */
  get(bits: 32 | 64, number: number): Tracer {
    const known = this.known[bits];
    let tracer = known.get(number);
    if (tracer === undefined) {
      tracer = this.create({ name: `syscall_${number}`, bits, number, parameters: undefined });
      known.set(number, tracer);
    }
    return tracer;
  }

  /** Whether calls of numbers that the kernel does not have are recorded. */
  get areOthersRecorded(): boolean {
    return this.wanted.length === 0;
  }

  private create({ name, bits, number, parameters }: SystemCall): Tracer {
    const pointerBits = bits === 64 && number < FIRST_OF_X32 ? 64 : 32;
    const kinds = (parameters ?? [])
      .map((parameter, index, all) => chooseKind(parameter, all[index + 1]))
      // Their lists have pointers of 32 bits, and come by an entry of 64.
      .map((kind) => (kind === ArgumentKind.Texts && pointerBits !== bits ? ArgumentKind.Value : kind));
    const shows = parameters
      ? parameters.map((parameter, index) => createShow(parameter, kinds[index] ?? ArgumentKind.Value, bits))
      : Array.from({ length: UNKNOWN_REGISTERS }, () => hex);
    const packed = kinds.reduce<number>((all, kind, index) => all | (kind << (2 * index)), 0);
    const isRecorded = this.wanted.length === 0 || this.wanted.includes(name);
    return { name, bits, pointerBits, shows, kinds: packed, isRecorded };
  }
}

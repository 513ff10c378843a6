import type { Cpu } from "../../machine/state/cpu";
import type { AddressName } from "../../systems/guest-system";
import { HookError } from "../errors";
import { CallValues } from "./values/call-values";
import { findBytes, findText } from "./values/guest-values";
import type { CallContext, HookedFunction } from "./hooked-function";
import type { FunctionValue } from "./values/value-types";

const LONGEST_TEXT = 4096;

/**
 * The way in which a function was left without returning to its caller: "jumped over" by longjmp() or an exception, to a function
 * further up; "thread ended" with it, by pthread_exit() or the end of the process; "program replaced" by execve().
 */
export type Abandonment = "jumped over" | "thread ended" | "program replaced";

/** One call of a hooked function: the same object at its beginning and at its end. */
export class FunctionCall {
  /** A place for the script's own notes from the beginning of the call to its end. */
  data: unknown;
  /** The way in which the function was left without returning; undefined while it runs, and when it returns. */
  abandoned: Abandonment | undefined;
  readonly #context: CallContext;
  readonly #function: HookedFunction;
  readonly #values: CallValues;
  readonly #raw: readonly (bigint | undefined)[];
  readonly #beganMs = performance.now();
  #phase: "begins" | "runs" | "ends" | "over" = "begins";
  #endedMs: number | undefined;
  #cpuIndex: number;
  #thread: bigint | undefined;

  /**
   * Notes a call at the function's first instruction.
   *
   * @param returnAddress where it returns to
   * @param stackPointer of that instruction
   */
  constructor(
    context: CallContext,
    called: HookedFunction,
    cpu: Cpu,
    readonly pgd: bigint,
    readonly returnAddress: bigint,
    readonly stackPointer: bigint,
    /** How many hooked calls of this thread have begun and not ended: 0 for the outermost. Known only where ends are watched. */
    readonly depth: number,
  ) {
    this.#context = context;
    this.#function = called;
    this.#cpuIndex = cpu.index;
    this.#values = new CallValues(context, called, pgd, stackPointer);
    this.#raw = this.#values.readPlaces(cpu);
  }

  /** The width of addresses in the program that calls. */
  get bits(): 32 | 64 {
    return this.#values.bits;
  }

  /** The name of the module that the function belongs to. */
  get module(): string {
    return this.#function.module;
  }

  /** The function's name; "+0x1234" for one that was hooked by its place in the module. */
  get name(): string {
    return this.#function.name;
  }

  /** The address of the function's first instruction. */
  get address(): bigint {
    return this.#function.address;
  }

  /** The vCPU that executes the moment. */
  get cpuIndex(): number {
    return this.#cpuIndex;
  }

  /** Its registers. */
  get cpu(): Cpu {
    return this.#context.access.readCpu(this.#cpuIndex);
  }

  /** The number of the thread that calls; 0 when the kernel does not say. */
  get tid(): number {
    return this.#context.threads.readNumber(this.pgd, this.#getThread(), "tid");
  }

  /** The number of the process that calls; 0 when the kernel does not say. */
  get pid(): number {
    return this.#context.threads.readNumber(this.pgd, this.#getThread(), "pid");
  }

  /** The function that called: its name, and how far from its beginning the call returns to; undefined outside of all modules. */
  get caller(): AddressName | undefined {
    try {
      // A call may be the last instruction of its function: the address that it returns to lies behind that.
      const found = this.#context.access.findName(this.pgd, this.returnAddress - 1n);
      return found && { ...found, offset: found.offset + 1 };
    } catch {
      // The process is just ending: its list of modules is gone.
      return undefined;
    }
  }

  /** How long the call took until now, or until its end, by the host's clock, in milliseconds; callbacks included. */
  get durationMs(): number {
    return (this.#endedMs ?? performance.now()) - this.#beganMs;
  }

  /**
   * The values of the parameters, as the function was given them: of those that were described, else of the first six, as addresses.
   * Texts and bytes are read when they are asked for: at the end of the call they are what the function has made of them.
   */
  get args(): readonly FunctionValue[] {
    const resultOf = this.#isReturning ? this.cpu : undefined;
    return this.#function.parameters.map((type, index) =>
      this.#values.decode(type, this.#raw[index], this.#raw, resultOf),
    );
  }

  /** The bits of the parameters, of which those beyond their types mean nothing; undefined where memory could not be read. */
  get rawArgs(): readonly (bigint | undefined)[] {
    return this.#raw;
  }

  /**
   * The value that the function returns; undefined while it runs, when it was left without returning, and for "void".
   * In programs of 32 bits also for "float" and "double".
   */
  get result(): FunctionValue {
    if (!this.#isReturning) return undefined;
    const { cpu } = this;
    return this.#values.decode(this.#function.returns, this.#values.readResult(cpu), this.#raw, cpu);
  }

  /**
   * Gives the function another parameter; only while it begins.
   *
   * @param index from 0
   * @throws HookError at another moment; RangeError for a parameter that was not described; TypeError for a value of another type
   */
  setArgument(index: number, value: number | bigint | boolean): void {
    if (this.#phase !== "begins") throw this.#refuse("its parameters can be changed only in onEnter()");
    if (!(index in this.#function.places)) {
      throw new RangeError(`${this.name} has no parameter ${index}: ${this.#function.places.length} are known, from 0`);
    }
    if (!this.#values.writeParameter(this.cpu, index, value)) {
      throw this.#refuse("parameters in vector registers cannot be changed");
    }
  }

  /**
   * Has the function return another value; only at its end.
   *
   * @throws HookError at another moment; TypeError for a value of another type
   */
  setResult(value: number | bigint | boolean): void {
    if (!this.#isReturning) {
      throw this.#refuse("its result can be changed only in onLeave(), when it returns");
    }
    this.#writeResult(value);
  }

  /**
   * Has the function return at once, without being executed; only while it begins. onLeave() is not called.
   *
   * @param value what it returns; left out for a function that returns nothing
   * @throws HookError at another moment; TypeError for a value of another type
   */
  returnNow(value?: number | bigint | boolean): void {
    if (this.#phase !== "begins") throw this.#refuse("it can return at once only in onEnter()");
    if (value !== undefined) this.#writeResult(value);
    const { cpu } = this;
    cpu.RSP = this.stackPointer + BigInt(this.#values.bits / 8);
    cpu.RIP = this.returnAddress;
    this.#phase = "over";
  }

  /** Reads text of the process, up to a zero byte; undefined when it is not in memory. */
  findText(address: bigint, maxBytes = LONGEST_TEXT): string | undefined {
    return findText(this.#context.access, this.pgd, address, maxBytes);
  }

  /** Reads bytes of the process; undefined when one of them is not in memory. */
  findBytes(address: bigint, size: number): Uint8Array | undefined {
    return findBytes(this.#context.access, this.pgd, address, size);
  }

  /** Reads an address out of the memory of the process, of the width that its addresses have; undefined when it is not in memory. */
  findPointer(address: bigint): bigint | undefined {
    return this.#context.words.read(this.pgd, address, this.#values.bits / 8);
  }

  /** For hooks: onEnter() has returned. @returns whether the call goes on */
  begin(): boolean {
    if (this.#phase === "over") return false;
    this.#phase = "runs";
    return true;
  }

  /** For hooks: the function has returned or was left. */
  end(cpuIndex: number, abandoned?: Abandonment): void {
    this.#cpuIndex = cpuIndex;
    this.abandoned = abandoned;
    this.#endedMs = performance.now();
    this.#phase = "ends";
  }

  /** For hooks: onLeave() has returned. */
  finish(): void {
    this.#phase = "over";
  }

  get #isReturning(): boolean {
    return this.#phase === "ends" && this.abandoned === undefined;
  }

  #writeResult(value: number | bigint | boolean): void {
    if (this.#values.writeResult(this.cpu, value)) return;
    throw this.#refuse("a result in a vector register or of the FPU cannot be changed");
  }

  #getThread(): bigint {
    this.#thread ??= this.#context.threads.readKey(this.cpu, this.pgd);
    return this.#thread;
  }

  #refuse(why: string): HookError {
    return new HookError(`the call of ${this.module}!${this.name} at 0x${this.address.toString(16)}: ${why}`);
  }
}

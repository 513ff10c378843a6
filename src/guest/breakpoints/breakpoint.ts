import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { Engine } from "../../machine/engine/engine";
import { findSystem } from "../guest";
import { ALL_PROCESSES } from "../../machine/state/processes";
import { ModuleOwner, type Owned } from "../../machine/ownership/module-owner";
import { checkFlag, checkMembers, showValue, toAddress } from "../../machine/callbacks/option-checks";
import { breakpoints, findBreakpointStop, findTravelNote } from "./breakpoint-list";
import {
  BREAKPOINT_OPTIONS,
  BREAKPOINT_TYPES,
  type BreakpointHit,
  type BreakpointOptions,
  type BreakpointType,
} from "./breakpoint-types";
import { watchPlace } from "./code-hooks";

const LARGEST_SIZE = 1 << 30;
const common = new ModuleOwner("rebox");

/** A place in the guest at which a function is called: where it executes, reads or writes. */
export class BP {
  static readonly EXECUTION = "execution";
  static readonly MEM_READ = "memory-read";
  static readonly MEM_WRITE = "memory-write";
  static readonly MEM_READ_PHYS = "physical-read";
  static readonly MEM_WRITE_PHYS = "physical-write";

  /** Under which shells know it. */
  readonly number: number;
  readonly type: BreakpointType;
  /** The address space, as callbacks give it; ALL_PROCESSES for any. */
  readonly pgd: bigint;
  /** In bytes. */
  readonly size: number;
  /** The script that it belongs to. */
  readonly owner: string;
  readonly #options: BreakpointOptions;
  readonly #callbacks: CallbackManager;
  readonly #owned: Owned;
  #address: bigint | undefined;
  #watch: (() => void) | undefined;
  #waiting: readonly string[] = [];
  #isEnabled = false;
  #isDeleted = false;
  #isSpent = false;
  #hits = 0;

  /**
   * Sets a breakpoint.
   *
   * @param place a virtual address (guest-physical for the physical types), or a symbol: "schedule", "kernel!schedule",
   *   "libc.so.6!malloc"; one that is not there yet is waited for until a module brings it
   * @param pgd the address space, as callbacks give it; ALL_PROCESSES (default) for any. A symbol of a program or library
   *   needs the address space of its process
   * @param options what it is about and what it calls; without a function it counts its hits, and in a run with a shell
   *   the shell holds the guest there
   * @param owner what it goes with; for a script this is the script
   * @throws TypeError or RangeError for what makes no breakpoint; EngineUsageError without a machine
   */
  constructor(
    readonly place: bigint | string,
    pgd: bigint = ALL_PROCESSES,
    options: BreakpointOptions = {},
    owner: ModuleOwner = common,
  ) {
    checkMembers("the options of a breakpoint", options, BREAKPOINT_OPTIONS);
    const { type = "execution", size = 1 } = options;
    for (const name of ["isOneShot", "isDisabled", "mayWait"] as const) checkFlag(name, options[name]);
    for (const name of ["func", "condition"] as const) {
      if (options[name] !== undefined && typeof options[name] !== "function") {
        throw new TypeError(`${name} is ${showValue(options[name])}: it must be a function`);
      }
    }
    if (typeof place !== "bigint" && typeof place !== "string") {
      throw new TypeError(`the place is a ${typeof place}: an address is bigint, such as 0x401000n, a symbol is text`);
    }
    if (!BREAKPOINT_TYPES.includes(type)) {
      throw new TypeError(`there is no type ${showValue(type)}: it is one of ${BREAKPOINT_TYPES.join(", ")}`);
    }
    if (!Number.isInteger(size) || size < 1 || size > LARGEST_SIZE) {
      throw new RangeError(`size is ${showValue(size)}: a whole number of bytes from 1 to ${LARGEST_SIZE}`);
    }
    owner.check();
    this.type = type;
    this.pgd = toAddress("pgd", pgd);
    this.size = size;
    this.owner = owner.name;
    this.#options = options;
    this.#callbacks = new CallbackManager(0, new ModuleOwner(owner.name));
    if (typeof place === "bigint") this.#address = BigInt.asUintN(64, place);
    if (!options.isDisabled) this.enable();
    this.number = breakpoints.add(this);
    this.#owned = owner.own(() => this.delete());
  }

  /** Undefined while it waits for its symbol. */
  get address(): bigint | undefined {
    return this.#address;
  }

  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  /** Whether it waits for a module that brings its symbol. */
  get isPending(): boolean {
    return this.#isEnabled && this.#watch === undefined;
  }

  /** The number of hits at which its condition was true. */
  get hits(): number {
    return this.#hits;
  }

  /** Sets it again. Nothing happens when it is set. @throws Error when it was deleted */
  enable(): void {
    if (this.#isDeleted) throw new Error(`breakpoint ${this.number} was deleted`);
    if (this.#isEnabled) return;
    this.#isEnabled = true;
    try {
      if (!this.#arm()) this.#wait();
    } catch (error) {
      this.disable();
      throw error;
    }
  }

  /** Takes it out of the guest; it keeps its hits. */
  disable(): void {
    this.#isEnabled = false;
    this.#stopWaiting();
    this.#watch?.();
    this.#watch = undefined;
  }

  /** Takes it out for good. */
  delete(): void {
    if (this.#isDeleted) return;
    this.disable();
    this.#isDeleted = true;
    this.#owned.release();
    breakpoints.delete(this.number);
  }

  /** @returns whether its address is known, and watched now */
  #arm(): boolean {
    this.#address ??= this.#resolve();
    if (this.#address === undefined) return false;
    const { type, size, pgd } = this;
    this.#watch = watchPlace(this.#callbacks, { type, size, pgd, address: this.#address }, (hit) =>
      this.#hit({ breakpoint: this, ...hit }),
    );
    return true;
  }

  #resolve(): bigint | undefined {
    const system = findSystem();
    if (!system) return undefined;
    const [name, module] = String(this.place).split("!").reverse() as [string, string?];
    const space = this.pgd === ALL_PROCESSES ? undefined : system.findProcess(this.pgd);
    return system.symbols.resolve(space?.pgd ?? 0n, module, name);
  }

  /** Looks again at every change that can bring the symbol: a module is loaded, a process begins. */
  #wait(): void {
    if (this.#options.mayWait === false) throw new RangeError(`there is no symbol ${String(this.place)}`);
    const look = () => {
      if (this.#watch === undefined && this.#isEnabled && this.#arm()) this.#stopWaiting();
    };
    this.#waiting = [
      this.#callbacks.addCallback("LOADMODULE_CB", look),
      this.#callbacks.addCallback("CREATEPROC_CB", look),
    ];
  }

  #stopWaiting(): void {
    for (const name of this.#waiting) this.#callbacks.rmCallback(name);
    this.#waiting = [];
  }

  #hit(hit: BreakpointHit): void | Promise<void> {
    const { condition, func, isOneShot } = this.#options;
    if (Engine.get().travels) {
      const note = findTravelNote();
      if (note && (!condition || condition(hit))) note(hit);
      return;
    }
    if (this.#isSpent || (condition && !condition(hit))) return;
    this.#hits++;
    this.#isSpent = isOneShot === true;
    const result = (func ?? findBreakpointStop())?.(hit);
    if (!isOneShot) return result;
    if (!(result instanceof Promise)) return this.delete();
    // Removed at once, it would hold the guest no longer.
    return result.finally(() => this.delete());
  }
}

import {
  createStateReader,
  isMonitored,
  readBlockCount,
  readComputedRegister,
  readRunningProcess,
  REFUSED,
} from "../host-access";
import { ask } from "../messages";

interface Register {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly computed: boolean;
}

/** One vCPU, live; as outside of the sandbox, see src/machine/state/cpu.ts. */
export class Cpu {
  constructor(readonly index: number) {}
}

export interface Cpu {
  readonly [register: string]: bigint | number;
}

const LOW_HALF = 0xffffffffn;
let cpus: readonly Cpu[] | undefined;

function createGetter(register: Register, id: number, readers: readonly ((word: number) => bigint)[]) {
  const word = register.offset >> 3;
  if (register.computed) {
    return function (this: Cpu) {
      return readComputedRegister(this.index, id);
    };
  }
  if (register.size === 16) {
    return function (this: Cpu) {
      const read = readers[this.index]!;
      return (read(word + 1) << 64n) | read(word);
    };
  }
  if (register.size === 8) {
    const first = readers[0]!;
    return function (this: Cpu) {
      return this.index === 0 ? first(word) : readers[this.index]!(word);
    };
  }
  const shift = register.offset & 4 ? 32n : 0n;
  return function (this: Cpu) {
    return (readers[this.index]!(word) >> shift) & LOW_HALF;
  };
}

function define(name: string, get: (this: Cpu) => bigint): void {
  Object.defineProperty(Cpu.prototype, name, {
    enumerable: true,
    get,
    set(this: Cpu, value: bigint) {
      ask("writeRegister", this.index, name, value);
    },
  });
}

/** Lists the machine's vCPUs. */
export function getCpus(): readonly Cpu[] {
  if (cpus) return cpus;
  const { count, registers, aliases } = ask("cpu.describe") as {
    count: number;
    registers: Register[];
    aliases: [alias: string, of: string, isHalf: boolean][];
  };
  const readers = Array.from({ length: count }, (_, index) => createStateReader(index));
  registers.forEach((register, id) => define(register.name, createGetter(register, id, readers)));
  for (const [alias, of, isHalf] of aliases) {
    const wide = Object.getOwnPropertyDescriptor(Cpu.prototype, of)?.get as ((this: Cpu) => bigint) | undefined;
    if (wide === undefined) continue;
    define(alias, function () {
      const value = wide.call(this);
      return isHalf ? value & LOW_HALF : value;
    });
  }
  cpus = Array.from({ length: count }, (_, index) => new Cpu(index));
  return cpus;
}

/** Gets a vCPU, whose properties are its registers. */
export function readCpu(cpuIndex = 0): Cpu {
  const cpu = getCpus()[cpuIndex];
  if (!cpu) {
    throw new RangeError(`there is no vCPU ${cpuIndex}: the machine has ${getCpus().length}, numbered from 0`);
  }
  return cpu;
}

/** As outside of the sandbox: src/machine/state/processes.ts. */
export function getRunningProcess(cpuIndex = 0): bigint {
  return readRunningProcess(readCpu(cpuIndex).index);
}

export function isMonitoredProcess(pgd: bigint): boolean {
  const answer = isMonitored(pgd);
  return answer === REFUSED ? (ask("isMonitoredProcess", pgd) as boolean) : answer;
}

/** As outside of the sandbox: src/machine/callbacks/block-counter.ts. */
export function getBlockCount(): number {
  const count = readBlockCount();
  return count === REFUSED ? (ask("getBlockCount") as number) : count;
}

// native/guest/programs/soaker.c: the generator, and how much a round does.
const FACTOR = 6364136223846793005n;
const STEP = 1442695040888963407n;
const WORDS = 512;
const MASK = 0xffffffffffffffffn;

/** Computes what a round of native/guest/programs/soaker.c must sum up to. */
export function sumOfRound(cpu: number, round: bigint): bigint {
  let value = round + (BigInt(cpu) << 32n);
  let sum = 0n;
  for (let index = 0; index < WORDS; index++) {
    value = (value * FACTOR + STEP) & MASK;
    sum = (((sum << 7n) & MASK) | (sum >> 57n)) ^ value;
  }
  return sum;
}

/** Follows what the workers of the guest's task "soak" say on the console. */
export class GuestProgress {
  readonly rounds = [0n, 0n];
  /** What is wrong in what the guest said. */
  readonly errors: string[] = [];
  #read = 0;

  /** @param text all of the console's output so far */
  update(text: string): void {
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(this.#read, end).split("\n")) {
      this.#readLine(line.trimEnd());
    }
    this.#read = Math.max(this.#read, end);
  }

  #readLine(line: string): void {
    if (/rebox-guest: error=|Kernel panic|BUG:|Oops|segfault/.test(line)) {
      this.errors.push(`the guest says: ${line}`);
    }
    const said = /^rebox-guest: soak\.([01])=(\d+) 0x([0-9a-f]+) (\d+)$/.exec(line);
    if (!said) return;
    const cpu = Number(said[1]);
    const round = BigInt(said[2]!);
    if (round !== this.rounds[cpu]! + 64n) {
      this.errors.push(`worker ${cpu} is at round ${round} after ${this.rounds[cpu]}`);
    }
    this.rounds[cpu] = round;
    if (BigInt(`0x${said[3]}`) !== sumOfRound(cpu, round)) {
      this.errors.push(`worker ${cpu} has a wrong sum in round ${round}`);
    }
    if (BigInt(said[4]!) !== round * BigInt(WORDS)) {
      this.errors.push(`worker ${cpu} counted ${said[4]} calls in ${round} rounds`);
    }
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import type { GuestRunOptions } from "../guests/guest-run";
import { type ShellRun, withShell } from "./shell-run";

/** What a shell is told when a breakpoint is hit; addresses and values in hexadecimal. */
export interface HitNotice {
  readonly breakpoint: number;
  readonly cpu: number;
  readonly pc: string;
  readonly symbol?: string;
  readonly address: string;
  readonly size: number;
  readonly value?: string;
}

/** A guest with the program "rounds", which waits for its sign; the guest is paused. */
export interface RoundsRun extends ShellRun {
  /** Where something of the program is: "call", "word.0". In hexadecimal, as commands take it. */
  at(what: string): string;
  /** Lets the guest go on until a breakpoint has paused it. */
  hit(): Promise<HitNotice>;
  /** QEMU's monitor's words about the registers of a vCPU, by their names in 64-bit mode. */
  monitor(cpuIndex?: number): Promise<ReadonlyMap<string, bigint>>;
  /** The arguments of the function at "call", in the vCPU that stands there: thread and round. */
  callArguments(): Promise<readonly [thread: bigint, round: bigint]>;
  /** 32 bits at a virtual address, as QEMU's monitor sees them on vCPU 0. */
  word(address: string): Promise<bigint>;
}

export interface RoundsOptions extends Pick<GuestRunOptions, "kit" | "script" | "trust"> {
  /** One on each vCPU; 1 by default. */
  readonly threads?: number;
  /** Without end by default. */
  readonly rounds?: number;
}

/** Reads what "info registers" shows of one vCPU; 32-bit names become those of 64-bit mode. */
export function parseMonitorRegisters(shown: string): Map<string, bigint> {
  return new Map(
    [...shown.matchAll(/\b([A-Z0-9]+) ?=([0-9a-f]{8,16})\b/g)].map(([, name, value]) => [
      name!.replace(/^E(?=[A-Z]{2}$|FLAGS$)/, "R"),
      BigInt(`0x${value}`),
    ]),
  );
}

/** Boots the guest kit with the task "rounds", and gives it its sign when the guest goes on for the first time. */
export function withRounds(
  options: RoundsOptions,
  use: (run: RoundsRun) => Promise<void>,
): ReturnType<typeof withShell> {
  const { threads = 1, rounds = 0, ...shell } = options;
  const qemuArgs = ["-smp", String(threads)];
  return withShell({ task: "rounds", parameters: { threads, rounds }, qemuArgs, ...shell }, async (run) => {
    const facts = await run.truth("rounds.waits");
    const at = (what: string) => `0x${BigInt(facts.get(`rounds.${what}`)!).toString(16)}`;
    const untilPaused = async () => {
      while ((await run.data<{ state: string }>("status")).state !== "paused") await sleep(5);
    };
    const notices: HitNotice[] = [];
    let told: () => void = () => undefined;
    run.client.onNotice = ({ data }) => {
      notices.push(data as unknown as HitNotice);
      told();
    };
    await run.text("pause");
    await run.text(`proc ${facts.get("rounds.waits")}`);
    await run.text(`ed ${at("go")}=1`);
    const monitor = async (cpuIndex = 0) => {
      const all = await run.text("hmp info registers -a");
      return parseMonitorRegisters(all.split(/^CPU#\d+$/m)[cpuIndex + 1]!);
    };
    const word = async (address: string) => {
      const shown = await run.text(`hmp x /1wx ${address}`);
      return BigInt(/: (0x[0-9a-f]{8})/.exec(shown)![1]!);
    };
    await use({
      ...run,
      at,
      monitor,
      word,
      async hit() {
        await run.text("cont");
        while (notices.length === 0) {
          if (run.client.isOver) throw new Error("the run is over, and no breakpoint was hit");
          await Promise.race([sleep(200), new Promise<void>((resolve) => (told = resolve))]);
        }
        await untilPaused();
        return notices.shift()!;
      },
      async callArguments() {
        const { cpu } = await run.data<{ cpu: number }>("status");
        const registers = await monitor(cpu);
        if (!options.kit || options.kit.architecture === "amd64") return [registers.get("RDI")!, registers.get("RSI")!];
        // Behind where it returns to, on the stack (System V ABI, i386 supplement).
        const stack = registers.get("RSP")!;
        return [await word(`0x${(stack + 4n).toString(16)}`), await word(`0x${(stack + 8n).toString(16)}`)];
      },
    });
  });
}

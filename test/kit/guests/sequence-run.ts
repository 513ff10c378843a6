import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";

/**
 * Runs native/guest/programs/exact.c with a script that watches its sequence: `onBegin` registers callbacks when the
 * sequence begins, `isInside()` tells whether the vCPU is in it, and `onEnd` prints what was seen.
 */
export function watchSequence(onBegin: string, onEnd: string, qemuArgs: readonly string[] = []): Promise<GuestRun> {
  return runGuest({
    task: "exact",
    qemuArgs,
    script: (serial) => `
      import { CallbackManager, type CallbackFilter, findPa, getInstructionCount, getRunningProcess, listCallbacks, readCpu, readIoPort, readVa,
               startMonitoringProcess, stopMonitoringProcess, writeVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let at: Record<"begin" | "loop" | "function" | "target" | "end" | "poll" | "buffer" | "go", bigint>;
      const isInside = (pc: bigint, cpu = readCpu(0)) =>
        cpu.CPL === 3n && ((pc >= at.begin && pc < at.end) || pc === at.function);
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("exact.ready").then((truth) => {
          at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("exact."))
            .map(([key, value]) => [key.slice(6), BigInt(value)])) as typeof at;
          const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            const one = Buffer.alloc(8, 0);
            one[0] = 1;
            writeVa(getRunningProcess(cpuIndex), at.go, one);
            cm.rmCallback(poll);
          }, { addr: at.poll });
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex, cpu) => {
            startMonitoringProcess(getRunningProcess(cpuIndex));
            ${onBegin}
          }, { addr: at.begin });
          const end = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            stopMonitoringProcess(getRunningProcess(cpuIndex));
            ${onEnd}
          }, { addr: at.end });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
}

/**
 * Shows live what the guest does: processes as they appear, context switches, executed blocks, and the addresses that are
 * executed most. In a Linux guest they have names. When it is unloaded it leaves a picture of the guest's screen in
 * results/live_view.png.
 *
 *   rebox run --script scripts/live_view.ts -- QEMU-ARGS...
 *
 * It slows the guest down by little: blocks are counted natively, and only a sample of them reaches this script.
 */
import {
  ALL_PROCESSES,
  CallbackManager,
  Engine,
  findGuest,
  getBlockCount,
  type LinuxGuest,
  type Subscription,
  screenshot,
  setBlockCounting,
  startMonitoringProcess,
  stopMonitoringProcess,
  type TranslationBlock,
} from "rebox";

const INTERVAL_MS = 1000;
/** Out of each interval: how long every block is looked at. */
const SAMPLE_MS = 20;
const BUSIEST = 5;
const PICTURE = "results/live_view.png";

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let timer: NodeJS.Timeout;
let running: Subscription;

/** What the processes were called when they were seen last, by their address space. */
const names = new Map<bigint, string>();
let newAddressSpaces: bigint[] = [];
let guest: LinuxGuest | undefined;
let switches = 0;
/** How often each address space was entered in this interval. */
let entered = new Map<bigint, number>();
let hits = new Map<TranslationBlock, number>();
let lastBlockCount = 0;
let lastTimeMs = 0;

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const perSecond = (count: number, ms: number): string => {
  const rate = (count * 1000) / ms;
  return rate >= 1e6
    ? `${(rate / 1e6).toFixed(1)} M/s`
    : rate >= 1e3
      ? `${(rate / 1e3).toFixed(1)} k/s`
      : `${rate.toFixed(0)}/s`;
};

function onContextChange(_oldPgd: bigint, newPgd: bigint): void {
  switches++;
  entered.set(newPgd, (entered.get(newPgd) ?? 0) + 1);
  if (!names.has(newPgd)) {
    // Now, because many live shorter than the interval.
    names.set(newPgd, nameProcess(newPgd));
    newAddressSpaces.push(newPgd);
  }
}

/** A process chooses its name, and a line has no room for control characters. */
function nameProcess(pgd: bigint): string {
  try {
    const process = guest?.findProcess(pgd);
    return process ? `${process.name.replace(/[^ -~]/g, "?")} (${process.pid})` : "";
  } catch {
    // The kernel is at work on its list.
    return "";
  }
}

/** Finds the function of the kernel that an address is in. */
function nameFunction(pc: bigint): string {
  try {
    const symbol = pc >> 63n ? guest?.symbols.findSymbol(0n, pc) : undefined;
    return symbol ? `${symbol.name}+${hex(pc - symbol.address)}` : "";
  } catch {
    return "";
  }
}

/** Looks at every executed block for a moment. */
function sample(): void {
  hits = new Map();
  const name = callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_cpuIndex, _cpu, tb) => {
    hits.set(tb, (hits.get(tb) ?? 0) + 1);
  });
  startMonitoringProcess(ALL_PROCESSES);
  setTimeout(() => {
    if (callbacks.callbackExists(name)) {
      callbacks.rmCallback(name);
      stopMonitoringProcess(ALL_PROCESSES);
    }
  }, SAMPLE_MS);
}

/** Names the processes that were switched to most often. An address space may belong to another process by now. */
function describeProcesses(): string {
  return [...entered]
    .sort((a, b) => b[1] - a[1])
    .slice(0, BUSIEST)
    .map(([pgd, count]) => {
      names.set(pgd, nameProcess(pgd) || (names.get(pgd) ?? ""));
      return `${names.get(pgd) || hex(pgd)} ${count}`;
    })
    .join(", ");
}

function describeBusiest(): string[] {
  const total = [...hits.values()].reduce((sum, count) => sum + count, 0);
  return [...hits]
    .sort((a, b) => b[1] - a[1])
    .slice(0, BUSIEST)
    .map(([tb, count]) => {
      const where = tb.pc >> 63n ? "kernel" : "user";
      const share = ((100 * count) / total).toFixed(1).padStart(4);
      return `      ${share} %  ${where.padEnd(6)} ${hex(tb.pc)}  ${tb.icount} instructions  ${nameFunction(tb.pc)}`.trimEnd();
    });
}

function show(print: (text: string) => void): void {
  const nowMs = performance.now();
  const blocks = getBlockCount();
  const elapsedMs = nowMs - lastTimeMs;
  const known = guest;
  guest = findGuest();
  if (guest && guest !== known) print(`the guest runs Linux ${guest.kernel.release}`);
  print(
    `${perSecond(blocks - lastBlockCount, elapsedMs)} blocks, ${perSecond(switches, elapsedMs)} context switches, ` +
      `${names.size} address spaces so far`,
  );
  for (const pgd of newAddressSpaces.slice(0, BUSIEST)) {
    // It may have become another program since.
    names.set(pgd, nameProcess(pgd) || (names.get(pgd) ?? ""));
    print(`  new address space ${hex(pgd)}  ${names.get(pgd)}`.trimEnd());
  }
  if (newAddressSpaces.length > BUSIEST) {
    print(`  ... and ${newAddressSpaces.length - BUSIEST} more`);
  }
  if (entered.size > 0) print(`  switched to most: ${describeProcesses()}`);
  if (hits.size > 0) {
    print(["  executed most:", ...describeBusiest()].join("\n"));
  }
  newAddressSpaces = [];
  switches = 0;
  entered = new Map();
  lastBlockCount = blocks;
  lastTimeMs = nowMs;
  sample();
}

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, onContextChange);
  setBlockCounting(true);
  lastTimeMs = performance.now();
  timer = setInterval(() => show(printer), INTERVAL_MS);
  running = Engine.get().on("paused", ({ state }) => printer(`the guest is paused (${state})`));
}

export async function clean(): Promise<void> {
  clearInterval(timer);
  running.dispose();
  callbacks.clean();
  setBlockCounting(false);
  stopMonitoringProcess(ALL_PROCESSES, true);
  if (Engine.get().state === "running") {
    await screenshot(PICTURE).then(
      () => console.log(`The guest's screen is in ${PICTURE}.`),
      (error: Error) => console.log(`There is no picture of the guest's screen: ${error.message}`),
    );
  }
}

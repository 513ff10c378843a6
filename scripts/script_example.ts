/**
 * Everything that a script can have, each explained where it stands. It follows one address space: the one that the
 * guest runs most, or the one that the command `custom follow` names.
 *
 *   rebox run --script scripts/script_example.ts -- QEMU-ARGS...
 */
import { CallbackManager, type EventBatch, hot, readCpu, startMonitoringProcess, stopMonitoringProcess } from "rebox";
import { readNumber } from "./_numbers";

/** Scripts that have to be loaded before this one, in module notation: scripts/script_example_min.ts. */
export const requirements = ["scripts.script_example_min"];

const REPORT_MS = 1000;

let callbacks: CallbackManager;
let print: (text: string) => void;
let followed: bigint | undefined;
const switchesTo = new Map<bigint, number>();

/** What this script wants to keep when it is reloaded: hot.data is copied to the next version. */
function remember(): void {
  hot.data["followed"] = followed;
}

/**
 * Called when the script is loaded. The handle is this script's own: what is registered under it belongs to the script,
 * and goes with it. The printer puts the script's name in front.
 */
export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  print = printer;
  callbacks = new CallbackManager(moduleHandle);
  // A callback is called synchronously: the guest stands still until it returns. Keep it short.
  callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, onContextChange, { name: "example_switches" });
  // Timers are the script's own too, and end with it.
  setInterval(report, REPORT_MS);
  const before = hot.data["followed"];
  if (typeof before === "bigint") follow(before);
}

function onContextChange(_oldPgd: bigint, newPgd: bigint): void {
  switchesTo.set(newPgd, (switchesTo.get(newPgd) ?? 0) + 1);
}

/** Blocks of one address space only, decided natively by the filter: the script is not called for the others. */
function follow(pgd: bigint): void {
  if (followed !== undefined) unfollow();
  followed = pgd;
  startMonitoringProcess(pgd);
  callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, onFirstBlock, {
    name: "example_first_block",
    filter: { pgd, mode: "user", hits: 1 },
  });
  // A stream hands over many events at once, which is much cheaper than a call for each.
  callbacks.addStream(CallbackManager.BLOCK_BEGIN_CB, onBlocks, { name: "example_blocks", filter: { pgd } });
  remember();
}

function unfollow(): void {
  if (followed === undefined) return;
  for (const name of ["example_first_block", "example_blocks"]) {
    if (callbacks.callbackExists(name)) callbacks.rmCallback(name);
  }
  stopMonitoringProcess(followed);
  followed = undefined;
  remember();
}

function onFirstBlock(cpuIndex: number): void {
  const cpu = readCpu(cpuIndex);
  print(`runs at 0x${cpu.RIP.toString(16)} with its stack at 0x${cpu.RSP.toString(16)}`);
}

let blocks = 0;
let instructionBytes = 0;

function onBlocks(batch: EventBatch): void {
  blocks += batch.length;
  for (let at = 0; at < batch.length; at++) instructionBytes += batch.size[at]!;
}

function report(): void {
  const busiest = [...switchesTo].sort((a, b) => b[1] - a[1])[0];
  if (followed === undefined && busiest !== undefined) follow(busiest[0]);
  if (followed !== undefined) print(`0x${followed.toString(16)}: ${blocks} blocks, ${instructionBytes} bytes of code`);
}

/**
 * Follows another address space.
 *
 * @param line its pgd in hexadecimal
 */
export function do_follow(line: string): string {
  const pgd = readNumber(line || undefined, "the pgd");
  follow(pgd);
  return `following 0x${pgd.toString(16)}`;
}

/** Follows none, until the next report. */
export function do_unfollow(): void {
  unfollow();
}

/**
 * Called when the script is unloaded or reloaded: the place to finish what was begun. Callbacks, streams, monitored
 * processes, timers and commands that are left are removed after it.
 */
export function clean(): void {
  callbacks.clean();
}

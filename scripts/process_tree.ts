/**
 * Prints each process of the guest as it begins (+) and ends (-), indented below its parent; a process that starts another
 * program ends and begins under the same number.
 *
 *   rebox run --script scripts/process_tree.ts -- QEMU-ARGS...
 *   custom process_tree     the tree of the processes that are there now
 */
import { CallbackManager, getProcessList } from "rebox";

/** Deeper trees are cut off: a guest can make up any. */
const DEEPEST = 64;

let callbacks: CallbackManager;
let print: (text: string) => void;
/** The names of the processes that are there, by number. */
const alive = new Map<number, string>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { name: "process_begins", replay: true });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, onEnd, { name: "process_ends" });
}

export const clean = (): void => callbacks.clean();

function onBegin(pid: number, _pgd: bigint, name: string): void {
  alive.set(pid, name);
  print(`${indent(pid)}+ ${pid} ${name}`);
}

function onEnd(pid: number, _pgd: bigint, name: string): void {
  print(`${indent(pid)}- ${pid} ${name}`);
  alive.delete(pid);
}

function readParents(): Map<number, number> {
  return new Map(getProcessList().map(({ pid, ppid }) => [pid, ppid]));
}

/** Two blanks for each forefather that is there. */
function indent(pid: number): string {
  const parents = readParents();
  let depth = 0;
  for (let at = parents.get(pid); at !== undefined && alive.has(at) && depth < DEEPEST; at = parents.get(at)) depth++;
  return "  ".repeat(depth);
}

/** Shows the processes that are there now, each below its parent. */
export function do_process_tree(): string {
  const parents = readParents();
  const children = new Map<number, number[]>();
  for (const pid of alive.keys()) {
    const parent = parents.get(pid) ?? 0;
    const place = alive.has(parent) ? parent : 0;
    children.set(place, [...(children.get(place) ?? []), pid]);
  }
  const lines: string[] = [];
  const add = (parent: number, depth: number): void => {
    for (const pid of children.get(parent) ?? []) {
      lines.push(`${"  ".repeat(depth)}${pid} ${alive.get(pid)}`);
      if (depth < DEEPEST) add(pid, depth + 1);
    }
  };
  add(0, 0);
  return lines.join("\n");
}

import { type CallStack, formatFrame } from "../../results/call-stacks";
import { since } from "../../../lab/analysis/report/event-rows";
import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { CoreMapping, CoreThread } from "../../results/core-file";
import type { ProcessMemory } from "../../results/process-details";
import { formatBytes } from "../layout";
import { memoryPath, toAddress } from "./memory-page";

/** Of a fact that is shown beside its act, in characters. */
const LONGEST_FACT = 300;
/** The registers that people ask for first. */
const REGISTERS = ["rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const; // prettier-ignore

/**
 * Renders the functions that have led to the acts of a process.
 *
 * @param created the beginning of the analysis, from which times count
 * @param memory the memory in which addresses are looked at
 */
export function renderStacks(
  id: number,
  stacks: readonly CallStack[],
  created: string,
  memory: readonly ProcessMemory[],
): Markup | undefined {
  if (stacks.length === 0) return undefined;
  const shown = stacks.map(({ time, type, facts, frames }) => {
    const rows = frames.map((frame) => {
      const core = memory.find(({ mappings }) => isInMemory(BigInt(frame.address), mappings));
      const address = core === undefined ? frame.address : markup`<a href="${memoryPath(id, core.file, BigInt(frame.address))}">${frame.address}</a>`; // prettier-ignore
      return markup`<tr><td class="number">${address}</td><td class="code">${formatFrame(frame)}</td></tr>`;
    });
    return markup`<details><summary><span class="muted">${since(time, created)}</span> ${type} <code>${formatFacts(facts)}</code></summary>
<table><caption class="hidden">The functions that led to it</caption><thead><tr><th scope="col">Address</th><th scope="col">Function, the innermost first</th></tr></thead><tbody>${rows}</tbody></table></details>`;
  });
  return markup`<section class="card"><h2>Call stacks <span class="muted">${stacks.length}</span></h2><p class="muted">The functions of the program that led to its acts, each way once.</p>${shown}</section>`;
}

/** Renders the memory of a process as it was at its end: threads with their registers, and what was mapped where. */
export function renderMemory(id: number, { file, signal, threads, mappings }: ProcessMemory): Markup {
  const ended = signal === 0 ? undefined : markup`<p>A signal has ended it: ${signal}.</p>`;
  return markup`<section class="card"><div class="row top"><h2>Memory at its end</h2><a href="${memoryPath(id, file)}">Look inside</a></div>${ended}
<h3>Threads <span class="muted">${threads.length}</span></h3>${threads.map((thread) => renderThread(id, file, thread))}
<h3>Mappings <span class="muted">${mappings.length}</span></h3>
<div class="wide"><table><caption class="hidden">What was mapped where</caption><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Rights</th><th scope="col">In memory</th><th scope="col">File</th></tr></thead><tbody>${mappings.map((each) => renderMapping(id, file, each))}</tbody></table></div></section>`;
}

function renderThread(id: number, file: string, { tid, registers }: CoreThread): Markup {
  const rows = REGISTERS.map((name) => markup`<tr><th scope="row">${name}</th><td class="code"><a href="${memoryPath(id, file, registers[name])}">${toAddress(registers[name])}</a></td></tr>`); // prettier-ignore
  return markup`<details><summary>${tid} <code>rip ${toAddress(registers.rip)} rsp ${toAddress(registers.rsp)}</code></summary><table><caption class="hidden">Registers of thread ${tid}</caption><tbody>${rows}</tbody></table></details>`;
}

function renderMapping(id: number, core: string, { start, end, permissions, path, size, first }: CoreMapping): Markup {
  const from = first === undefined ? toAddress(start) : markup`<a href="${memoryPath(id, core, first)}">${toAddress(start)}</a>`; // prettier-ignore
  return markup`<tr><td class="number">${from}</td><td class="number">${toAddress(end)}</td><td class="code">${permissions}</td><td class="number">${size === 0 ? "nothing" : formatBytes(size)}</td><td class="code">${path}</td></tr>`; // prettier-ignore
}

function isInMemory(address: bigint, mappings: readonly CoreMapping[]): boolean {
  return mappings.some(({ start, end, first }) => address >= start && address < end && first !== undefined);
}

function formatFacts(facts: CallStack["facts"]): string {
  const shown = Object.entries(facts).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`); // prettier-ignore
  const text = shown.join("  ");
  return text.length <= LONGEST_FACT ? text : `${text.slice(0, LONGEST_FACT)} ...`;
}

import { findSystem } from "../../../guest/guest";
import type { BP } from "../../../guest/breakpoints/breakpoint";
import { breakpoints } from "../../../guest/breakpoints/breakpoint-list";
import type { BreakpointHit, BreakpointType } from "../../../guest/breakpoints/breakpoint-types";
import { ALL_PROCESSES } from "../../../machine/state/processes";
import { type Command, defineCommand, type CommandInput } from "../command";
import { CommandError } from "../../errors";
import { type DataResult, textResult } from "../command-result";
import type { CommandSession } from "../command-session";
import { compileCondition } from "../arguments/script-expression";
import { evaluate } from "../arguments/expression";
import { splitAtColons } from "../arguments/memory-place";
import { readSymbolName } from "../arguments/symbol-name";
import { setPausingBreakpoint } from "../pausing-breakpoint";

const KINDS: readonly { readonly name: string; readonly type: BreakpointType; readonly what: string }[] = [
  { name: "bp", type: "execution", what: "an instruction of this range begins" },
  { name: "bpr", type: "memory-read", what: "this memory is read" },
  { name: "bpw", type: "memory-write", what: "this memory is written" },
  { name: "bprh", type: "physical-read", what: "this guest-physical memory is read, by whatever address" },
  { name: "bpwh", type: "physical-write", what: "this guest-physical memory is written, by whatever address" },
];

interface Wanted {
  readonly place: bigint | string;
  readonly size: number;
  readonly isOneShot: boolean;
  readonly condition: string | undefined;
}

function parseWanted(input: CommandInput, session: CommandSession): Wanted {
  const [place = "", size, ...more] = splitAtColons(input.get("an address or a symbol"));
  if (more.length > 0) throw new CommandError(`${input.command}: it is ADDRESS or ADDRESS:SIZE`);
  let word = input.find();
  const isOneShot = word === "once";
  if (isOneShot) word = input.find();
  if (word !== undefined && word !== "if") throw new CommandError(`${input.command}: "${word}" is neither once nor if`);
  const condition = word === undefined ? undefined : input.rest();
  if (condition === "") throw new CommandError(`${input.command}: an expression is missing behind if`);
  return {
    ...{ isOneShot, condition, place: readPlace(place, session) },
    size: size === undefined ? 1 : Number(evaluate(size, session)),
  };
}

/** Reads a place. A symbol that is not there yet stays a name, for which the breakpoint waits. */
function readPlace(text: string, session: CommandSession): bigint | string {
  try {
    return evaluate(text, session);
  } catch (error) {
    const symbol = readSymbolName(text);
    const isName = symbol?.length === text.length && symbol.name !== "";
    if (error instanceof CommandError && isName) return `${symbol.module}!${symbol.name}`;
    throw error;
  }
}

/**
 * Chooses the address space: the kernel's addresses are the same in all processes; others mean the process of the session, and
 * every one in a guest whose system is not known, unless an address space was chosen.
 */
function choosePgd(place: bigint | string, type: BreakpointType, session: CommandSession): bigint {
  if (type.startsWith("physical")) return ALL_PROCESSES;
  const isKernel = typeof place === "bigint" && place >= (session.pointerSize === 8 ? 1n << 63n : 0xc0000000n);
  if (!session.process && !findSystem()) return ALL_PROCESSES;
  return isKernel || (typeof place === "string" && !session.process) ? ALL_PROCESSES : session.pgd;
}

function describeHit({ breakpoint, cpuIndex, cpu, address, size, value }: BreakpointHit, session: CommandSession) {
  const name = session.createNamer().find(cpu.RIP);
  const written = value === undefined ? "" : ` = 0x${value.toString(16)}`;
  const access = size === 0 ? "" : `, ${size} bytes at 0x${address.toString(16)}${written}`;
  const where = `0x${cpu.RIP.toString(16)}${name === undefined ? "" : ` ${name}`}`;
  const text = `breakpoint ${breakpoint.number}: vCPU ${cpuIndex} at ${where}${access}`;
  return {
    text,
    data: { breakpoint: breakpoint.number, cpu: cpuIndex, pc: cpu.RIP, symbol: name, address, size, value },
  };
}

function describe(breakpoint: BP): DataResult {
  const { number, place, address, isPending } = breakpoint;
  const shown = address === undefined ? String(place) : `0x${address.toString(16)}`;
  const text = `breakpoint ${number} at ${shown}${isPending ? ", which is waited for" : ""}`;
  return { kind: "data", text, data: { number, address, isPending } };
}

function getBreakpoints(input: CommandInput): BP[] {
  const text = input.get("the number of a breakpoint, or *");
  const all = breakpoints.list();
  const found = all.filter(({ number }) => text === "*" || String(number) === text);
  if (found.length === 0 && text !== "*") throw new CommandError(`there is no breakpoint ${text}; all of them: bl`);
  return found;
}

export const BREAKPOINT_COMMANDS: readonly Command[] = [
  ...KINDS.map(({ name, type, what }) =>
    defineCommand({
      name,
      isForLiving: true,
      usage: "ADDRESS[:SIZE] [once] [if EXPRESSION]",
      help: `Pauses the guest when ${what}. SIZE is in bytes.\nonce: it deletes itself then. if: only where the TypeScript EXPRESSION is true (cpu.RAX === 1n). MODULE!NAME that is not there is waited for.`,
      parse: parseWanted,
      run: ({ place, size, isOneShot, condition }, session) => {
        const isTrue = condition === undefined ? undefined : compileCondition(condition, session);
        const options = {
          type,
          size,
          isOneShot,
          ...(isTrue ? { condition: (hit: BreakpointHit) => isTrue(hit.cpuIndex) } : {}),
        };
        const pgd = choosePgd(place, type, session);
        return describe(
          setPausingBreakpoint(session, place, pgd, options, (hit) => session.onNotice?.(describeHit(hit, session))),
        );
      },
    }),
  ),
  defineCommand({
    name: "bl",
    isForLiving: true,
    help: "Lists the breakpoints of all shells and scripts.",
    parse: (input) => input.end(),
    run: () => {
      const rows = breakpoints
        .list()
        .map(({ number, type, size, address, place, pgd, hits, owner, isEnabled, isPending }) => ({
          ...{ number, type, address, size, hits, owner },
          symbol: typeof place === "string" ? place : undefined,
          pgd: pgd === ALL_PROCESSES ? "any" : pgd,
          state: isPending ? "pending" : isEnabled ? "enabled" : "disabled",
        }));
      const note = rows.length === 0 ? "there is no breakpoint" : undefined;
      return {
        kind: "rows",
        columns: ["number", "state", "type", "address", "size", "pgd", "hits", "owner", "symbol"],
        rows,
        note,
      };
    },
  }),
  ...(
    [
      ["be", "Sets a breakpoint again.", (breakpoint) => breakpoint.enable()],
      ["bd", "Takes a breakpoint out of the guest, and keeps it in the list.", (breakpoint) => breakpoint.disable()],
      ["bc", "Deletes a breakpoint.", (breakpoint) => breakpoint.delete()],
    ] as readonly (readonly [string, string, (breakpoint: BP) => void])[]
  ).map(([name, help, act]) =>
    defineCommand({
      name,
      isForLiving: true,
      usage: "NUMBER | *",
      help,
      parse: getBreakpoints,
      run: (breakpoints) => {
        breakpoints.forEach(act);
        return textResult("");
      },
    }),
  ),
];

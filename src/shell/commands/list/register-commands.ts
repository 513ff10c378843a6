import { getNumCpus, type RegisterName, writeRegister } from "../../../machine/state/cpu";
import { findStillMachine } from "../../../machine/state/machine-access";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import type { CommandValue, DataResult } from "../command-result";
import type { CommandSession } from "../command-session";
import { evaluate } from "../arguments/expression";

/** The groups of "r" alone: a line of text for each. */
const GENERAL: readonly (readonly string[])[] = [
  ["RAX", "RBX", "RCX", "RDX"],
  ["RSI", "RDI", "RBP", "RSP"],
  ["R8", "R9", "R10", "R11"],
  ["R12", "R13", "R14", "R15"],
  ["RIP", "RFLAGS", "CPL"],
];
const SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"];
const GROUPS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  general: GENERAL,
  segments: [
    ...SEGMENTS.map((name) => [name, `${name}_BASE`, `${name}_LIMIT`, `${name}_FLAGS`]),
    ...["GDT", "IDT"].map((name) => [`${name}_BASE`, `${name}_LIMIT`]),
  ],
  control: [
    ["CR0", "CR2", "CR3"],
    ["CR4", "CR8", "XCR0"],
  ],
  debug: [
    ["DR0", "DR1", "DR2", "DR3"],
    ["DR6", "DR7"],
  ],
  msr: [
    ["EFER", "STAR", "LSTAR", "CSTAR"],
    ["FMASK", "KERNEL_GS_BASE", "TSC_AUX"],
    ["SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP"],
  ],
  sse: [["MXCSR"], ...Array.from({ length: 16 }, (_, index) => [`XMM${index}`])],
};
const WIDTHS: Readonly<Record<string, number>> = { CPL: 1, ...Object.fromEntries(SEGMENTS.map((name) => [name, 4])) };

function widthOf(name: string): number {
  return WIDTHS[name] ?? (name.startsWith("XMM") ? 32 : /_(LIMIT|FLAGS)$|MXCSR/.test(name) ? 8 : 16);
}

function getRegister(session: CommandSession, name: string): bigint {
  const value = session.findRegister(name);
  if (value === undefined && findStillMachine() && session.cpu)
    throw new CommandError(`this image does not hold ${name}`);
  if (value === undefined) {
    throw new CommandError(
      `there is no register ${name}; r all shows them, and their groups: ${Object.keys(GROUPS).join(", ")}`,
    );
  }
  return value;
}

function showGroups(session: CommandSession, groups: readonly string[]): DataResult {
  const { cpu } = session;
  const data: Record<string, CommandValue> = {};
  const lines = groups.flatMap((group) =>
    (GROUPS[group] ?? []).map((names) =>
      names
        .map((name) => {
          const value = session.findRegister(name);
          // An image need not hold all of them.
          if (value === undefined) return "";
          data[name] = value;
          return `${name}=${value.toString(16).padStart(widthOf(name), "0")}`;
        })
        .filter((text) => text !== "")
        .join(" "),
    ),
  );
  if (groups.includes("general")) {
    const symbol = session.createNamer().find(cpu.RIP);
    if (symbol !== undefined) lines.push(`RIP is in ${symbol}`);
    data.symbol = symbol;
  }
  return { kind: "data", text: lines.join("\n"), data };
}

export const REGISTER_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "r",
    aliases: ["w"],
    usage: "[REGISTER[=VALUE] | GROUP | all]",
    help: `Shows or writes registers of the chosen vCPU.\nWithout an argument the general ones. Groups: ${Object.keys(GROUPS).join(", ")}.`,
    parse: (input, session) => {
      const text = input.rest();
      const [, name, value] = /^([^=\s]*)\s*(?:=(.*))?$/s.exec(text) ?? [];
      if (name === undefined) throw new CommandError(`"${text}" is no register and no assignment: r REGISTER=VALUE`);
      return { name, value: value === undefined ? undefined : evaluate(value, session) };
    },
    run: ({ name, value }, session) => {
      if (name === "") return showGroups(session, ["general"]);
      const group = name.toLowerCase();
      if (value === undefined && group === "all") return showGroups(session, Object.keys(GROUPS));
      if (value === undefined && Object.hasOwn(GROUPS, group)) return showGroups(session, [group]);
      const register = name.toUpperCase();
      getRegister(session, register);
      if (value !== undefined) writeRegister(session.cpuIndex, register as RegisterName, value);
      const now = getRegister(session, register);
      return {
        kind: "data",
        text: `${register}=${now.toString(16).padStart(widthOf(register), "0")}`,
        data: { [register]: now },
      };
    },
  }),
  defineCommand({
    name: "print_cpu",
    usage: "[INDEX]",
    help: "Shows all registers of a vCPU.",
    parse: (input) => {
      const text = input.find();
      if (text !== undefined && (!/^\d+$/.test(text) || Number(text) >= getNumCpus())) {
        throw new CommandError(`there is no vCPU ${text}: the machine has ${getNumCpus()}, numbered from 0`);
      }
      return text === undefined ? undefined : Number(text);
    },
    run: (index, session) => {
      const before = session.cpuIndex;
      try {
        session.cpuIndex = index ?? before;
        return showGroups(session, Object.keys(GROUPS));
      } finally {
        session.cpuIndex = before;
      }
    },
  }),
];

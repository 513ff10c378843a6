import { z } from "zod";
import { GOLDEN_NAME, getGoldenState, type GoldenState, listGoldenStates, removeGoldenState } from "../../lab/machinery/golden/golden-state"; // prettier-ignore
import type { MachineryCapabilities } from "../../lab/machinery/machinery";
import { NotThereError } from "../errors";
import type { Doer } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import type { INQUIRY, InquiryAnswer } from "./inquiries";
import type { MachineTask } from "./machine-tasks";
import type { ShownMachine } from "./machine-watch";

const MOST_COMMANDS = 20;
/** How long a system may take to become ready, in seconds. */
const LONGEST_PREPARATION_S = 86_400;

/** How a machine is prepared. */
export const PREPARATION = z.object({
  as: z.string().regex(GOLDEN_NAME).default("ready").describe("The golden state's name."),
  from: z.string().regex(GOLDEN_NAME).optional().describe("Change this golden state in place of a fresh boot."),
  replace: z.boolean().default(false).describe("Make it anew when there is one of this name."),
  trust: z.boolean().default(false).describe("Have the system trust the certificates of simulated networks; for Debian and its like."), // prettier-ignore
  command: z.array(z.string().min(1).max(10_000)).max(MOST_COMMANDS).default([]).describe("Commands that change the guest before it is frozen."), // prettier-ignore
  timeout: z.number().int().min(1).max(LONGEST_PREPARATION_S).default(600).describe("How long the system may take to become ready, in seconds."), // prettier-ignore
});

/** A machine with what can be done with it. */
export interface MachineDetails {
  readonly machine: ShownMachine;
  readonly capabilities: MachineryCapabilities;
  readonly states: readonly GoldenState[];
  /** The faults of golden states. */
  readonly problems: readonly string[];
  readonly task: MachineTask | undefined;
}

/** Looks at a machine, with its golden states and what is done with it. @throws NotThereError */
export async function readMachine({ machines, tasks, labFolder }: ServerParts, name: string): Promise<MachineDetails> {
  const shown = (await machines.list()).machines.find((each) => each.name === name);
  if (shown === undefined) throw new NotThereError(`there is no machine ${name}`);
  const capabilities = await machines.use(name, async (_machine, machinery) => machinery.capabilities);
  const { states, problems } = listGoldenStates(labFolder, name);
  return { machine: shown, capabilities, states, problems, task: tasks.find(name) };
}

/** Starts a machine. @param restores from its snapshot or golden state @throws NotThereError, ConflictError */
export function startMachine(parts: ServerParts, doer: Doer, name: string, restores: boolean): Promise<void> {
  return begin(parts, doer, name, "start", restores ? [] : ["--no-restore"]);
}

/** Ends a machine. @throws NotThereError, ConflictError */
export function stopMachine(parts: ServerParts, doer: Doer, name: string): Promise<void> {
  return begin(parts, doer, name, "stop", []);
}

/** Boots a machine once, and freezes it. @throws NotThereError, ConflictError */
export function prepareMachine(
  parts: ServerParts,
  doer: Doer,
  name: string,
  asked: z.infer<typeof PREPARATION>,
): Promise<void> {
  const { as, from, replace, trust, command, timeout } = asked;
  return begin(parts, doer, name, "prepare", [
    ...["--as", as, "--timeout", String(timeout)],
    ...[
      ...(from === undefined ? [] : ["--from", from]),
      ...(replace ? ["--replace"] : []),
      ...(trust ? ["--trust"] : []),
    ],
    // One word: a command may begin with a dash.
    ...command.map((text) => `--command=${text}`),
  ]);
}

/** Removes a golden state. @throws NotThereError; GoldenStateError when there is none */
export async function removeState(
  parts: ServerParts,
  { caller, address }: Doer,
  name: string,
  state: string,
): Promise<void> {
  await checkThere(parts, name);
  removeGoldenState(getGoldenState(parts.labFolder, name, state));
  parts.accounts.audit.add(caller.user, address, "remove golden state", `${state} of ${name}`);
}

/** Asks a machine that runs. @throws NotThereError, ConflictError, BusyError */
export async function investigateMachine(
  parts: ServerParts,
  { caller, address }: Doer,
  name: string,
  inquiry: z.infer<typeof INQUIRY>,
  isForPeople: boolean,
): Promise<InquiryAnswer> {
  await checkThere(parts, name);
  parts.accounts.audit.add(caller.user, address, "investigate machine", [name, inquiry.module, ...inquiry.flags, ...(inquiry.parameters === undefined ? [] : [JSON.stringify(inquiry.parameters)])].join(" ")); // prettier-ignore
  return parts.inquiries.ask(name, inquiry, isForPeople);
}

/** Has what is done with a machine end early. @throws NotThereError */
export async function cancelTask(parts: ServerParts, { caller, address }: Doer, name: string): Promise<void> {
  await checkThere(parts, name);
  parts.tasks.cancel(name);
  parts.accounts.audit.add(caller.user, address, "cancel task", name);
}

async function begin(
  parts: ServerParts,
  { caller, address }: Doer,
  name: string,
  action: string,
  args: readonly string[],
): Promise<void> {
  await checkThere(parts, name);
  const { tasks, machines, accounts } = parts;
  tasks.begin(name, action, args, caller.user, () => machines.forget());
  accounts.audit.add(caller.user, address, `${action} machine`, [name, ...args].join(" "));
}

async function checkThere({ machines }: ServerParts, name: string): Promise<void> {
  await machines.use(name, async () => undefined);
}

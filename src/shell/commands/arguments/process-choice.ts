import { toPlainLine } from "../../../config/terminal-text";
import { findSystem, getGuest, getSystem } from "../../../guest/guest";
import type { GuestProcess } from "../../../systems/guest-system";
import { LinuxProcess } from "../../../systems/linux/linux-process";
import { namePattern } from "../../../systems/symbols/name-pattern";
import { OtherSystemError } from "../../../systems/errors";
import { CommandError } from "../../errors";
import type { ChosenProcess, CommandSession } from "../command-session";
import { evaluate } from "./expression";

/**
 * Finds the processes that a user names: by a pid in decimal, a name with * and ?, or an address space in hexadecimal
 * ("0x1f3c000").
 */
export function findProcesses(text: string, session: CommandSession): GuestProcess[] {
  const processes = getSystem().getProcessList();
  if (/^\d+$/.test(text)) {
    const found = processes.filter(({ pid }) => pid === Number(text));
    if (found.length > 0) return found;
  }
  if (/^(0x|\\d|\$)/i.test(text)) {
    const value = evaluate(text, session);
    const named = getSystem().findProcess(value)?.pgd;
    return processes.filter(({ pgd, pid }) => pgd === (named ?? value) || (/^\\d/.test(text) && BigInt(pid) === value));
  }
  const matches = namePattern(text);
  return processes.filter(({ name }) => matches(name));
}

/**
 * Gets the process that a user means, or, in a guest whose system rebox does not know, the address space.
 *
 * @param text as for findProcesses()
 * @throws CommandError when there is none, or several; AttachError for a name or pid without a system
 */
export function chooseProcess(text: string, session: CommandSession): ChosenProcess {
  if (/^(0x|\$|@)/i.test(text) && !findSystem()) {
    const pgd = evaluate(text, session);
    return { pgd, name: `0x${pgd.toString(16)}` };
  }
  const { pid, pgd, name } = getProcess(text, session);
  return { pid, pgd, name };
}

/**
 * Gets the one process that a user means.
 *
 * @param text as for findProcesses(); undefined for the session's process, or the one that the vCPU runs
 * @throws CommandError when there is none, or several
 */
export function getProcess(text: string | undefined, session: CommandSession): GuestProcess {
  const found = text === undefined ? findCurrent(session) : findProcesses(text, session);
  const [first] = found;
  if (!first) {
    throw new CommandError(
      text === undefined
        ? "no process is chosen and the vCPU runs none now: choose one with proc, or name one"
        : `there is no process ${toPlainLine(text)}; the processes: ps`,
    );
  }
  if (found.length > 1) {
    const pids = found.slice(0, 10).map(({ pid }) => pid);
    throw new CommandError(`"${toPlainLine(text ?? "")}" are several: ${pids.join(", ")}; name one by its pid`);
  }
  return first;
}

/**
 * Gets the one process that a user means, for a command that is about Linux.
 *
 * @param text as for findProcesses(); undefined for the session's process, or the one that the vCPU runs
 * @throws OtherSystemError when the guest runs another system
 * @throws CommandError when there is none, or several
 */
export function getLinuxProcess(text: string | undefined, session: CommandSession): LinuxProcess {
  const guest = getGuest();
  const process = getProcess(text, session);
  if (process instanceof LinuxProcess) return process;
  throw new OtherSystemError(guest.version);
}

function findCurrent(session: CommandSession): GuestProcess[] {
  const chosen = session.process;
  const { pgd } = session;
  return getSystem()
    .getProcessList()
    .filter((process) => (chosen ? process.pid === chosen.pid : process.pgd === pgd));
}

import { importModule, listCommands, listModules, reloadModule, runCommand, unloadModule } from "../../module-control";
import { createOwnedTimers } from "../../owned-timers";
import { toColouredText } from "../../../config/terminal-text";
import { operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

/** These concern other scripts. */
const MODULES = { isAsync: true, permission: "modules" } as const;

/** Scripts: the script itself, its timers and its output, and the others. */
export const SCRIPT_OPERATIONS: Operations = {
  importModule: operation(["string"], (_session, name) => importModule(name), MODULES),
  listCommands: operation([], () => listCommands()),
  listModules: operation([], () => listModules()),
  reloadModule: operation(["number"], (_session, handle) => reloadModule(handle), MODULES),
  runCommand: operation(["string"], (_session, line) => runCommand(line), MODULES),
  unloadModule: operation(["number"], (_session, handle) => unloadModule(handle), MODULES),

  "script.listRequired": operation(["string"], (session, file) => session.getRequired(file).listExports()),
  "script.readRequired": operation(["string", "string"], (session, file, name) => {
    const value = session.getRequired(file).readExport(name);
    return typeof value === "function" ? ["function"] : ["value", value];
  }),
  "script.callRequired": operation(["string", "string", "any"], (session, file, name, args) => {
    const called = session.getRequired(file).readExport(name);
    if (typeof called !== "function") throw new TypeError(`${name} is no function any more`);
    return (called as (...args: unknown[]) => unknown)(...(args as unknown[]));
  }),

  "script.print": operation(["text"], (session, text) => session.script.print(text)),
  "script.settle": operation(["number", "any..."], (session, ticket, ...outcome) =>
    session.script.settle(ticket, outcome),
  ),
  "script.releaseHold": operation(["number", "string"], (session, id, thrown) =>
    session.script.releaseHold(id, thrown),
  ),
  "script.now": operation([], () => performance.now()),
  "script.write": operation(["string", "text"], ({ console }, level, text) => {
    const shown = toColouredText(text);
    if (level === "error") console.error("%s", shown);
    else console.log("%s", shown);
  }),

  /** A delay below 0 stands for setImmediate(). */
  "timer.start": operation(["any", "boolean"], (session, delayMs, isRepeated) =>
    startTimer(session, Number(delayMs), isRepeated),
  ),
  "timer.end": operation(["any"], (session, id) => session.timers.remove(Number(id))?.end()),
  "timer.refresh": operation(["number"], (session, id) => session.timers.find(id)?.refresh()),
};

function startTimer(session: ScriptSession, delayMs: number, isRepeated: boolean): number {
  const timers = createOwnedTimers(session.owner);
  const fire = () => {
    if (!isRepeated) session.timers.remove(id);
    session.script.fire(id);
  };
  const start = () => {
    if (delayMs < 0) {
      const immediate = timers.setImmediate(fire);
      return { end: () => timers.clearImmediate(immediate), refresh: () => undefined };
    }
    const timer = isRepeated ? timers.setInterval(fire, delayMs) : timers.setTimeout(fire, delayMs);
    return { end: () => timers.clearTimeout(timer), refresh: () => void timer.refresh() };
  };
  const id = session.timers.add(start());
  return id;
}

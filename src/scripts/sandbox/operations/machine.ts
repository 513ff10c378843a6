import { getBlockCount, setBlockCounting } from "../../../machine/callbacks/block-counter";
import { listCallbacks } from "../../../machine/callbacks/list-callbacks";
import { Engine, type EngineEvents } from "../../../machine/engine/engine";
import { getInstructionCount } from "../../../machine/state/instruction-count";
import { getCpus, REGISTER_ALIASES, type RegisterName, writeRegister } from "../../../machine/state/cpu";
import { writeSegmentRegister } from "../../../machine/state/cpu";
import { mouseButton, mouseMove, screenshot, sendKey } from "../../../machine/state/machine";
import { loadVm, saveVm } from "../../../machine/state/snapshots";
import { findPa, readIoPort, readText, vaToPa, writeIoPort } from "../../../machine/state/memory";
import { isMonitoredProcess } from "../../../machine/state/processes";
import { operation, type Operations } from "../operation";

const ASYNC = { isAsync: true } as const;
const MONITOR = { isAsync: true, permission: "monitor", refusedAs: "QMP and the monitor" } as const;
const EVENTS: readonly (keyof EngineEvents)[] = ["running", "paused", "reset", "shutdown", "crashed"];
const LOW_HALF = 0xffffffffn;

/** The machine: its registers, memory, processes and devices. */
export const MACHINE_OPERATIONS: Operations = {
  findPa: operation(["bigint", "bigint"], (_session, pgd, address) => findPa(pgd, address)),
  getBlockCount: operation([], () => getBlockCount()),
  getInstructionCount: operation([], () => getInstructionCount()),
  isMonitoredProcess: operation(["bigint"], (_session, pgd) => isMonitoredProcess(pgd)),
  listCallbacks: operation([], () => listCallbacks()),
  readIoPort: operation(["number", "number"], (_session, port, size) => readIoPort(port, size)),
  readText: operation(["bigint", "bigint", "number?"], (_session, pgd, address, size) => readText(pgd, address, size)),
  setBlockCounting: operation(["boolean"], (_session, isOn) => setBlockCounting(isOn)),
  startMonitoringProcess: operation(["bigint"], (session, pgd) => session.monitoring.startMonitoringProcess(pgd)),
  stopMonitoringProcess: operation(["bigint", "boolean?"], (session, pgd, force) =>
    session.monitoring.stopMonitoringProcess(pgd, force),
  ),
  vaToPa: operation(["bigint", "bigint"], (_session, pgd, address) => vaToPa(pgd, address)),
  writeIoPort: operation(["number", "number", "number"], (_session, port, size, value) =>
    writeIoPort(port, size, value),
  ),
  writeRegister: operation(["number", "string", "bigint"], (_session, cpuIndex, name, value) =>
    writeRegister(cpuIndex, name as RegisterName, value),
  ),
  writeSegmentRegister: operation(
    ["number", "string", "number", "bigint", "number", "number"],
    (_session, cpuIndex, name, ...values) => writeSegmentRegister(cpuIndex, name as "CS", ...values),
  ),

  loadVm: operation(["string"], (_session, name) => loadVm(name), ASYNC),
  mouseButton: operation(["number"], (_session, buttons) => mouseButton(buttons), ASYNC),
  mouseMove: operation(["number", "number", "number?"], (_session, dx, dy, dz) => mouseMove(dx, dy, dz), ASYNC),
  saveVm: operation(["string"], (_session, name) => saveVm(name), ASYNC),
  screenshot: operation(["string"], (session, path) => screenshot(session.files.getPath(path)), ASYNC),
  sendKey: operation(["string", "number?"], (_session, keys, holdTimeMs) => sendKey(keys, holdTimeMs), ASYNC),

  /** Describes the registers, for the sandbox's own Cpu: realm/fast/cpu.ts. */
  "cpu.describe": operation([], () => ({
    count: getCpus().length,
    registers: Engine.get().native.registers(),
    aliases: Object.entries(REGISTER_ALIASES).map(([name, { of, mask }]) => [name, of, mask === LOW_HALF]),
  })),
};

/** The class Engine. */
export const ENGINE_OPERATIONS: Operations = {
  "engine.exists": operation([], () => Engine.find() !== undefined),
  "engine.subscribe": operation(["any"], (session, name) => {
    const event = EVENTS.find((known) => known === name);
    if (event === undefined) throw new TypeError(`the engine has no event ${String(name)}: ${EVENTS.join(", ")}`);
    session.owner.check();
    const subscription = Engine.get().on(event, (detail) => session.emit(id, { ...detail }));
    const owned = session.owner.own(() => subscription.dispose());
    const end = () => {
      owned.release();
      subscription.dispose();
    };
    const id = session.subscriptions.add({ end });
    return id;
  }),
  "engine.unsubscribe": operation(["number"], (session, id) => session.subscriptions.remove(id)?.end()),
  "Engine.state": operation([], () => Engine.get().state, { isGetter: true }),
  "Engine.callbackLimitMs": operation([], () => Engine.get().callbackLimitMs, { isGetter: true }),
  "Engine.pause": operation([], () => Engine.get().pause(), ASYNC),
  "Engine.resume": operation([], () => Engine.get().resume(), ASYNC),
  "Engine.reset": operation([], () => Engine.get().reset(), ASYNC),
  "Engine.quit": operation([], () => Engine.get().quit(), ASYNC),
  "Engine.qmp": operation(
    ["string", "any"],
    (_session, command, args) => Engine.get().qmp(command, args as object | undefined),
    MONITOR,
  ),
  "Engine.hmp": operation(["string"], (_session, line) => Engine.get().hmp(line), MONITOR),
};

import { Engine, type EngineEvents } from "../../machine/engine/engine";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import type { Caller, Operations } from "./operation";

const EVENTS: readonly (keyof EngineEvents)[] = ["running", "paused", "reset", "shutdown", "crashed"];

/** Creates what is behind Engine in the sandbox. */
export function createEngineOperations(caller: Caller, owner: ModuleOwner, mayMonitor: boolean): Operations {
  const listeners = new Map<number, () => void>();
  const demand = () => caller.demand(mayMonitor, "QMP and the monitor", "monitor");
  return {
    "engine.exists": () => Engine.find() !== undefined,
    "engine.state": () => Engine.get().state,
    "engine.callbackLimitMs": () => Engine.get().callbackLimitMs,
    "engine.on": (name) => {
      const event = EVENTS.find((known) => known === name);
      if (event === undefined) throw new TypeError(`the engine has no event ${String(name)}: ${EVENTS.join(", ")}`);
      const id = caller.createId();
      owner.check();
      const subscription = Engine.get().on(event, (detail) => caller.emit(id, { ...detail }));
      const owned = owner.own(() => subscription.dispose());
      listeners.set(id, () => {
        owned.release();
        subscription.dispose();
      });
      return id;
    },
    "engine.off": (id) => {
      listeners.get(Number(id))?.();
      listeners.delete(Number(id));
    },
    "engine.pause": () => Engine.get().pause(),
    "engine.resume": () => Engine.get().resume(),
    "engine.reset": () => Engine.get().reset(),
    "engine.quit": () => Engine.get().quit(),
    "engine.qmp": (command, args) => {
      demand();
      return Engine.get().qmp(String(command), args as object | undefined);
    },
    "engine.hmp": (line) => {
      demand();
      return Engine.get().hmp(String(line));
    },
  };
}

import { EngineUsageError } from "../../../machine/errors";
import { ask, ignore, listen } from "./messages";
import { defineClass, Remote } from "./remote";

/** The machine, as far as a script in the sandbox may have it; see src/machine/engine/engine.ts. */
export class Engine extends Remote {
  static create(): never {
    throw new EngineUsageError(
      "this process has its engine already, and QEMU can be started only once in a process: " +
        "start the second machine in a process of its own",
    );
  }

  static find(): Engine | undefined {
    return ask("engine.exists") === true ? engine : undefined;
  }

  static get(): Engine {
    // Fails as it does outside when there is none.
    ask("Engine.state");
    return engine;
  }

  on(name: string, listener: (detail: unknown) => void): { dispose(): void } {
    const id = ask("engine.subscribe", name) as number;
    listen(id, listener);
    return {
      dispose() {
        if (ignore(id)) ask("engine.unsubscribe", id);
      },
    };
  }
}

const engine = new Engine([]);
defineClass("Engine", Engine as never);

import { EventEmitter } from "node:events";
import type { EngineEnd, EnginePort } from "../../../src/cli/run/run-environment";

/** What a test wants its engine to do. */
export interface FakeEngineScenario {
  /** Called when the guest starts to run. */
  readonly onRun?: (engine: FakeEngine) => void;
  /** quit() is ignored, as by an engine that hangs. */
  readonly ignoresQuit?: boolean;
  /** quit() is refused. */
  readonly refusesQuit?: boolean;
}

/** An engine without QEMU, for tests of what surrounds the engine. */
export class FakeEngine extends EventEmitter implements EnginePort {
  callbackLimitMs = -1;
  readonly calls: string[] = [];
  readonly ended: Promise<EngineEnd>;
  private settle!: (end: EngineEnd) => void;

  constructor(
    readonly argv: readonly string[],
    private readonly scenario: FakeEngineScenario,
  ) {
    super();
    this.ended = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  run(): void {
    this.calls.push("run");
    this.emit("running", undefined);
    this.scenario.onRun?.(this);
  }

  async quit(): Promise<void> {
    this.calls.push("quit");
    if (this.scenario.refusesQuit) throw new Error("the main loop is gone");
    if (!this.scenario.ignoresQuit) this.finish({ reason: "shutdown", cause: "host-qmp-quit" });
  }

  /** Ends the guest as if by itself. */
  finish(end: EngineEnd): void {
    this.emit(end.reason, end);
    this.settle(end);
  }
}

import { Engine as MachineEngine } from "../machine/engine/engine";
import { provideGuestEvents } from "./events/provide-guest-events";

/** The virtual machine of this process, with the events of its guest's processes and modules. */
export class Engine extends MachineEngine {
  /**
   * Builds the machine. No guest instruction is executed before run().
   *
   * @param argv QEMU's arguments, without the program's name
   * @throws EngineUsageError for arguments that cannot work inside Node, and for a second engine
   * @throws EngineStartError when QEMU refuses the arguments, or ends after printing help
   */
  static override create(argv: readonly string[]): Engine {
    const engine = super.create(argv);
    provideGuestEvents();
    return engine;
  }
}

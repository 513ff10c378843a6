import { CallbackManager } from "../machine/callbacks/callback-manager";
import type { ModuleOwner } from "../machine/ownership/module-owner";
import { type ContextListener, GuestContext } from "./guest-context";
import type { PersistentContext } from "./investigation-context";

/** What an instance of a persistent module has at hand. */
export class InstanceContext extends GuestContext implements PersistentContext {
  readonly callbacks: CallbackManager;

  /** @param limitMs how long one of its functions may run without a pause before it is cut off */
  constructor(
    signal: AbortSignal,
    listener: ContextListener,
    limitMs: number,
    private readonly owner: ModuleOwner,
  ) {
    super(signal, listener, limitMs);
    this.callbacks = new CallbackManager(0, owner);
  }

  own(dispose: () => void): void {
    this.owner.own(dispose);
  }
}

/** Makes what an instance's file imports in place of rebox's own: callbacks that go with the instance. */
export function createInstanceApi(owner: ModuleOwner): object {
  return {
    CallbackManager: class extends CallbackManager {
      constructor(moduleHandle = 0) {
        super(moduleHandle, owner);
      }
    },
  };
}

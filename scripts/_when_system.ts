import { CallbackManager, findSystem } from "rebox";

/**
 * Calls a function once the guest's system is known: now, or when its first process begins, which waits for it. No process can have
 * done anything before.
 */
export function whenSystemIsKnown(callbacks: CallbackManager, call: () => void): void {
  if (findSystem() !== undefined) {
    call();
    return;
  }
  let isCalled = false;
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, () => {
    if (isCalled) return undefined;
    isCalled = true;
    // Not within the callback, which has its limit.
    return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(call);
  });
}

/** Follows the processes of an analysis' target in its engine; the analysis itself loads it, see src/lab/analysis. */
import { CallbackManager, Engine, getGuest, waitForGuest } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { type LastingFiles, TargetScope } from "rebox/trusted";

/** A guest boots its kernel so long at most, also on a busy host, in milliseconds. */
const BOOT_LIMIT_MS = 400_000;

export function observe({ callbacks, options, tell }: GuestObserver): () => void {
  const mark = String(options.mark);
  const make = (): TargetScope => new TargetScope(getGuest(), mark, callbacks, tell);
  let scope = make();
  scope.begin();
  /** Of the kernel that is waited for; another restart makes another one. */
  let restarts = 0;
  /** The files that the target has left, from the end of a kernel until the next one is followed. */
  let left: LastingFiles | undefined;
  const resume = async (files: LastingFiles, restart: number): Promise<void> => {
    const fail = (error: unknown): void => {
      if (restart !== restarts) return;
      tell({ what: "lost", text: `what stays after the restart cannot be followed: ${error instanceof Error ? error.message : String(error)}` }); // prettier-ignore
    };
    const begin = (): void => {
      if (restart !== restarts) return;
      scope = make();
      scope.resume(files);
      left = undefined;
      tell({ what: "resumed" });
    };
    try {
      await waitForGuest(BOOT_LIMIT_MS);
      if (restart !== restarts) return;
      // The kernel is found before it has told the processor where system calls come in. No process makes one before the first one
      // begins, and the guest is held there.
      const first = callbacks.addCallback(CallbackManager.CREATEPROC_CB, () => {
        callbacks.rmCallback(first);
        return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(begin).catch(fail);
      });
    } catch (error) {
      fail(error);
    }
  };
  const onReset = Engine.get().on("reset", () => {
    // A kernel that restarts the machine at once tries several ways, and the machine may take two of them: that is one restart.
    if (left === undefined) {
      left = scope.endWithKernel();
      tell({ what: "restarted" });
    }
    callbacks.clean();
    if (options.follows_restart === true) void resume(left, ++restarts);
  });
  return () => {
    restarts++;
    onReset.dispose();
    scope.end();
  };
}

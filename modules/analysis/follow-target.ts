/** Follows the processes of an analysis' target in its engine; the analysis itself loads it, see src/lab/analysis. */
import { CallbackManager, Engine, getGuest, waitForGuest } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { TargetScope } from "rebox/trusted";

/** A guest boots its kernel so long at most, also on a busy host, in milliseconds. */
const BOOT_LIMIT_MS = 400_000;

export function observe({ callbacks, options, tell }: GuestObserver): () => void {
  const mark = String(options.mark);
  const make = (): TargetScope => new TargetScope(getGuest(), mark, callbacks, tell);
  let scope = make();
  scope.begin();
  /** Of the kernel that is waited for; another restart makes another one. */
  let restarts = 0;
  const resume = async (files: ReturnType<TargetScope["endWithKernel"]>, restart: number): Promise<void> => {
    const fail = (error: unknown): void => {
      if (restart !== restarts) return;
      tell({ what: "lost", text: `what stays after the restart cannot be followed: ${error instanceof Error ? error.message : String(error)}` }); // prettier-ignore
    };
    const begin = (): void => {
      if (restart !== restarts) return;
      scope = make();
      scope.resume(files);
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
    const files = scope.endWithKernel();
    callbacks.clean();
    tell({ what: "restarted" });
    if (options.follows_restart === true) void resume(files, ++restarts);
  });
  return () => {
    restarts++;
    onReset.dispose();
    scope.end();
  };
}

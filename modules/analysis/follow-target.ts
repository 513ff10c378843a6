/** Follows the processes of an analysis' target in its engine; the analysis itself loads it, see src/lab/analysis. */
import { Engine, getGuest } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { TargetScope } from "rebox/trusted";

export function observe({ callbacks, options, tell }: GuestObserver): () => void {
  const scope = new TargetScope(getGuest(), String(options.mark), callbacks, tell);
  scope.begin();
  const onReset = Engine.get().on("reset", () => tell({ what: "restarted" }));
  return () => {
    onReset.dispose();
    scope.end();
  };
}

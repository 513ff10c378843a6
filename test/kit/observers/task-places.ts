/** Notes, for a test, where the kernel puts each new task, and whether it is in the scope of the target. */
import { getGuest } from "rebox";
import type { GuestObserver } from "rebox/lab";
import { findTargetScope } from "rebox/trusted";

/** The result of the observer. */
export interface TaskPlaces {
  readonly places: readonly TaskPlace[];
  /** Of the scope, whose end the kernel has not completed. */
  readonly ending: number;
}

/** A new task. */
export interface TaskPlace {
  /** The address of its task_struct. */
  readonly place: string;
  readonly pid: number;
  readonly isOfScope: boolean;
}

export function observe({ callbacks }: GuestObserver): () => TaskPlaces {
  const guest = getGuest();
  const places: TaskPlace[] = [];
  // kernel/fork.c: (task), complete; the scope has heard of it before.
  callbacks.addCallback(
    "BLOCK_BEGIN_CB",
    (_index, { RDI }) => {
      const isOfScope = findTargetScope()?.has(RDI) === true;
      places.push({ place: RDI.toString(16), pid: guest.tasks.read(RDI).tgid, isOfScope });
    },
    { addr: guest.kernel.symbol("wake_up_new_task") },
  );
  return () => ({ places, ending: findTargetScope()?.conditions.ending.size ?? -1 });
}

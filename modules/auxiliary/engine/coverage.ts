/** Collects which code the target's processes execute; for the module of the same name. */
import { getProcessList } from "rebox";
import type { GuestObserver } from "rebox/lab";
import { onAdoption, onTargetBegin } from "rebox/trusted";
import { CoverageCollector, type CoverageSize } from "../../../scripts/_coverage_collector";

/** The result of the module. */
export interface CoverageOptions {
  /** Absolute. */
  readonly file: string;
  /** Also from which block to which. */
  readonly hasEdges: boolean;
}

export function observe({ callbacks, options }: GuestObserver): () => CoverageSize {
  const { file, hasEdges } = options as unknown as CoverageOptions;
  const collector = new CoverageCollector(callbacks, { isAll: false, hasKernel: false, hasEdges });
  const spaces = new Map<number, bigint>();
  /** vfork(2) shares an address space until the child has a program of its own. */
  const isUsed = (pgd: bigint): boolean => [...spaces.values()].includes(pgd);
  const leave = (pid: number): void => {
    const before = spaces.get(pid);
    spaces.delete(pid);
    if (before !== undefined && !isUsed(before)) collector.end(before);
  };
  const enter = (pid: number, pgd: bigint, name: string): void => {
    if (spaces.get(pid) === pgd) return;
    leave(pid);
    if (!isUsed(pgd)) collector.add(pgd, pid, name);
    spaces.set(pid, pgd);
  };
  const ends = [onAdoption(enter)];
  const begun = onTargetBegin((scope) => {
    for (const { pid, pgd, name } of getProcessList()) if (scope.findOrigin(pid) !== undefined) enter(pid, pgd, name);
    collector.start();
    ends.push(
      scope.follow({
        begins: ({ pid, pgd, name }) => enter(pid, pgd, name),
        executes: ({ pid, pgd, name }) => enter(pid, pgd, name),
        ends: ({ pid, pgd }) => {
          // While its memory is there.
          collector.readModules(pgd);
          collector.identify(pgd);
          leave(pid);
        },
      }),
    );
    return () => {
      spaces.clear();
      callbacks.clean();
      collector.restart();
    };
  });
  return () => {
    for (const end of [begun, ...ends]) end();
    for (const pgd of spaces.values()) collector.readModules(pgd);
    return collector.write(file);
  };
}

/** A script that is being loaded. */
export interface PendingScript {
  readonly name: string;
  readonly file: string;
  /** The file of the requirement it is waiting for. */
  waitsFor: string | undefined;
}

/**
 * Finds the circle that would close if a script waited for another one.
 *
 * @param pending every script being loaded, by file
 * @param script the script that is about to wait
 * @param required the file it would wait for
 * @param nameOf gives a file's module name
 * @returns the chain of names, such as "a -> b -> a"; undefined when there is no circle
 */
export function findRequirementCycle(
  pending: ReadonlyMap<string, PendingScript>,
  script: PendingScript,
  required: string,
  nameOf: (file: string) => string,
): string | undefined {
  const names = [script.name];
  for (let next: string | undefined = required; next !== undefined; next = pending.get(next)?.waitsFor) {
    names.push(nameOf(next));
    if (next === script.file) return names.join(" -> ");
  }
  return undefined;
}

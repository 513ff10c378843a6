import type { TargetScope } from "./target-scope";

let current: TargetScope | undefined;

/** Finds the scope of the analysis that this engine is used for: those who observe the guest ask it whose a process is. */
export function findTargetScope(): TargetScope | undefined {
  return current;
}

/** Makes a scope the engine's. */
export function setTargetScope(scope: TargetScope | undefined): void {
  current = scope;
}

type AdoptionListener = (pid: number, pgd: bigint, name: string) => void;
const adoptionListeners = new Set<AdoptionListener>();

/**
 * Calls a function for each process of the system that is taken into the scope of this engine's analysis, at once.
 *
 * @returns the function that ends it
 */
export function onAdoption(listener: AdoptionListener): () => void {
  adoptionListeners.add(listener);
  return () => adoptionListeners.delete(listener);
}

/** Tells of a process that was taken into the scope. */
export function tellAdoption(pid: number, pgd: bigint, name: string): void {
  for (const listener of adoptionListeners) listener(pid, pgd, name);
}

/** May return a function that is called when the guest starts again: the kernel that was hooked is gone then. */
export type BeginListener = (scope: TargetScope) => void | (() => void);
const beginListeners = new Set<BeginListener>();

/**
 * Calls a function when the target of this engine's analysis is about to execute its first instruction; at once when it has begun.
 * Nothing that watches the target alone need cost the guest anything before. It is called again, with another scope, when the guest has
 * started again in an analysis that goes on then.
 *
 * @returns the function that ends it
 */
export function onTargetBegin(listener: BeginListener): () => void {
  beginListeners.add(listener);
  if (current?.hasBegun === true) current.tellBegin(listener);
  return () => {
    beginListeners.delete(listener);
    current?.forgetBegin(listener);
  };
}

/** Lists those who are told when a scope begins. */
export function listBeginListeners(): Iterable<BeginListener> {
  return beginListeners;
}

import type { GoldenManifest } from "../machinery/golden/golden-state";

/** A file of a golden state, cut into pieces that are in the store by their content. */
export interface PublishedFile {
  /** Below the folder of the state. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
  /** SHA-256 of each piece, in order; "" is one of zeros, which is not in the store. */
  readonly pieces: readonly string[];
}

/** A file that machines must have to start from a state: the disk under its own, a kernel. It does not travel. */
export interface NeededFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
}

/** A golden state that the hosts of a cluster can fetch. */
export interface PublishedState {
  /** The machine, by the name that it has on each host. */
  readonly machine: string;
  readonly name: string;
  /** The lab that has made it, by its name in the cluster. */
  readonly lab: string;
  readonly manifest: GoldenManifest;
  readonly files: readonly PublishedFile[];
  readonly needs: readonly NeededFile[];
}

/** The golden states of a cluster. */
export interface GoldenList {
  /** Adds a state, in place of one of its machine and name. Its pieces are in the store. */
  publish(state: PublishedState): Promise<void>;
  /** Lists them, the newest first. */
  list(): Promise<PublishedState[]>;
  /** Takes a state from the list; hosts that have it keep it. @returns whether it was there */
  withdraw(machine: string, name: string): Promise<boolean>;
}

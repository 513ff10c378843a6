/** The part of a scope that finding more of its processes needs. */
export interface AdoptingScope {
  has(task: bigint): boolean;
  findPid(task: bigint): number | undefined;
  adopt(task: bigint, by: number, act: string, isFuture?: boolean): void;
}

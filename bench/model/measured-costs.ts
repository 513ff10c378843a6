import type { RequestCosts } from "./cluster-model";

/**
 * What `npm run bench -- --only cluster-costs` has printed: milliseconds of PostgreSQL 15's processor time, on 2 shared cores of an AMD EPYC
 * that were busy with other work (load 5), and without the write of the disk (fsync was off).
 */
export const COSTS: RequestCosts = {
  ...{ submit: 1.52, take: 2.57, ask: 0.33, heartbeat: 0.62, finish: 1.04, tell: 0.2, upkeep: 4, collect: 0.36 },
  word: 0.027,
};

import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";

/** The folder of users' auxiliary modules, below their lab's folder; rebox's own are in the same folder below rebox's. */
const MODULE_FOLDER = "modules/auxiliary";

/** The files and folders of auxiliary modules; absolute paths. */
export interface AuxiliaryPlaces {
  /** Of modules: rebox's own, and the lab's. */
  readonly folders: readonly string[];
  /** conf/auxiliary.conf. */
  readonly config: string;
  /** data/auxiliary. */
  readonly configurations: string;
}

/**
 * Returns where the auxiliary modules of a lab are.
 *
 * @param labFolder absolute
 */
export function getAuxiliaryPlaces(labFolder: string): AuxiliaryPlaces {
  return {
    folders: [join(getProjectFolder(), MODULE_FOLDER), join(labFolder, MODULE_FOLDER)],
    config: join(labFolder, "conf/auxiliary.conf"),
    configurations: join(labFolder, "data/auxiliary"),
  };
}

import type { Doors } from "../scripts/loading/doors";
import * as investigation from "./investigation";
import * as lab from "./lab";
import * as rebox from "./rebox";
import * as trusted from "./trusted";

/** All that scripts and modules can import of rebox. */
export const doors: Doors = {
  rebox,
  "rebox/trusted": trusted,
  "rebox/investigation": investigation,
  "rebox/lab": lab,
};

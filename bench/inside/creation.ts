/** Builds a machine and says so: creation <QEMU's arguments> */

import { createMachine } from "./machine";

createMachine(process.argv.slice(2));
process.send?.({ created: true });

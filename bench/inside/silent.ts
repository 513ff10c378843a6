/** Runs a guest and listens to nothing: silent <QEMU's arguments> */

import { createMachine } from "./machine";

createMachine(process.argv.slice(2)).run();

#!/usr/bin/env node
import { startProgram } from "./bundle/load-bundle";

/** A word that can be a command: anything else has no code of its own to keep. */
const COMMAND = /^[a-z]{1,16}$/;

const [word = ""] = process.argv.slice(2);
startProgram("rebox", COMMAND.test(word) ? word : "rebox");

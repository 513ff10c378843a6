import { Option } from "commander";

/** Creates --lab, the option of all commands on a lab. */
export function createLabOption(): Option {
  return new Option("--lab <folder>", "the lab; without it REBOX_LAB, or the current folder");
}

/** Returns the folder of the lab that a command line means. */
export function getLabFolder({ lab }: { readonly lab?: string }): string {
  return lab ?? process.env.REBOX_LAB ?? ".";
}

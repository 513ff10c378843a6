import { SetupError } from "./setup-error.mjs";

const NAME = /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9]+))?(?:\/([a-z][a-z-]*))?$/;

/**
 * Reads how apt names a package of another architecture or release: name[:architecture][/release].
 * @param {string} text such as linux-image-686-pae:i386/bookworm
 * @returns {{name: string, architecture?: string, release?: string}}
 */
export function debianName(text) {
  const [, name, architecture, release] = NAME.exec(text) ?? [];
  if (name === undefined) throw new SetupError(`${text} is no package: name it as name[:architecture][/release]`);
  return { name, architecture, release };
}

/** Turns a package's name as apt knows it into the name of a file or directory. */
export function debianFileName(text) {
  return text.replaceAll(/[:/]/g, "_");
}

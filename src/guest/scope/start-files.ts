import { basename } from "node:path/posix";

const SHELLS = /^(ba|da|a|z|k|mk|c|tc|fi)?sh$|^busybox$/;
/** Programs that execute a file which they are given; by the names of their executables. */
const INTERPRETERS =
  /^((ba|da|a|z|k|mk|c|tc|fi)?sh|busybox|python[\d.]*|perl[\d.]*|ruby[\d.]*|php[\d.]*|node(js)?|lua[\d.]*|awk|gawk|mawk|tclsh[\d.]*|make)$/;
/** Files that shells execute when they start: bash(1), dash(1), zsh(1), ksh(1). */
const SHELL_START =
  /^\/etc\/(profile|profile\.d\/[^/]+|bash\.bashrc|bashrc|zsh\/[^/]+|zsh(env|rc)|zprofile|environment)$|\/\.(profile|bash_profile|bash_login|bashrc|bash_logout|bash_aliases|zshenv|zprofile|zshrc|zlogin|kshrc|mkshrc|shinit)$/;
const LIBRARY = /\.so(\.[\w.]+)?$/;
const CRON = /^(cron|crond|anacron|fcron|busybox)$/;
const JOB_TABLE = /^\/etc\/(crontab|anacrontab|cron\.d\/[^/]+)$|^\/var\/spool\/(cron|fcron)\//;
const AT_JOB = /^\/var\/spool\/(cron\/atjobs|at|atjobs)\/[^/]+$/;
/** systemd.unit(5): where units lie, of the system and of users. */
const UNIT = /\/systemd\/(system|user)(\.control)?\/(?:([^/]+)\/)?([^/]+)$/;

/**
 * Tells why a process that opens a file executes what is in it.
 *
 * @param path of the file
 * @param name of the process
 * @param words its command line
 * @param parentName the name of its parent
 * @returns a verb for people; "job table" for what a daemon reads to start others; undefined when it only reads the file
 */
export function isReadToExecute(
  path: string,
  name: string,
  words: readonly string[],
  parentName: string,
): string | undefined {
  if (LIBRARY.test(path)) return "loads";
  const program = basename(words[0] ?? "").replace(/^-/, "");
  if ((SHELLS.test(name) || SHELLS.test(program)) && SHELL_START.test(path)) return "starts with";
  if (AT_JOB.test(path) && name === "atd" && parentName === "atd") return "is the job";
  if (CRON.test(name) && JOB_TABLE.test(path)) return "job table";
  const isGiven = words.slice(1).some((word) => word === path || (word !== "" && path.endsWith(`/${basename(word)}`)));
  return INTERPRETERS.test(program) && isGiven ? "executes" : undefined;
}

/** Lists the names of the units of systemd that a file makes or changes; of a timer, socket or path what it starts, too. */
export function listUnits(path: string): string[] {
  const [, , , folder, file] = UNIT.exec(path) ?? [];
  if (file === undefined) return [];
  // A drop-in: NAME.service.d/ANY.conf.
  const unit = folder?.endsWith(".d") ? folder.slice(0, -2) : file;
  const [, stem] = /^(.+)\.(timer|socket|path)$/.exec(unit) ?? [];
  if (stem !== undefined) return [unit, `${stem}.service`];
  return /\.(service|mount|scope)$/.test(unit) ? [unit] : [];
}

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SetupError } from "./setup-error.mjs";

const PATIENCE_BEFORE_SAYING_SO = 300;

/**
 * Runs an action while no other set-up holds the same lock file.
 * @template T
 * @param {string} path the lock file
 * @param {(holder: string) => void} onWait told once, with the holder's process id, when the lock is taken
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withLock(path, onWait, action) {
  mkdirSync(dirname(path), { recursive: true });
  // The kernel's lock is held by a child that lives as long as our end of its stdin: however we die, nothing stale remains.
  const holder = spawn("flock", [path, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const impatience = setTimeout(() => onWait(readFileSync(path, "utf8").trim()), PATIENCE_BEFORE_SAYING_SO);
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once("data", resolve);
      holder.once("error", reject);
      holder.once("exit", (code) => reject(new Error(`flock ended with ${code}`)));
    }).catch((error) => {
      throw new SetupError(`cannot lock ${path}: ${error.message}; install util-linux and check the path is writable`);
    });
    clearTimeout(impatience);
    writeFileSync(path, `${process.pid}\n`);
    return await action();
  } finally {
    clearTimeout(impatience);
    holder.stdin?.end();
  }
}

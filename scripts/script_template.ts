/**
 * A script to begin with: copy it, and fill it in. docs/guides/scripts.md says what can stand here.
 *
 *   rebox run --script scripts/script_template.ts -- QEMU-ARGS...
 */
import { CallbackManager } from "rebox";

let callbacks: CallbackManager;

/** Called when the script is loaded. */
export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  printer("loaded");
}

/** Called when the script is unloaded. What it forgets is removed all the same. */
export function clean(): void {
  callbacks.clean();
}

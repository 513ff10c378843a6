/**
 * The least that does something: says when an address space is seen for the first time, and has a command.
 *
 *   rebox run --script scripts/script_example_min.ts -- QEMU-ARGS...
 */
import { CallbackManager } from "rebox";

const seen = new Set<bigint>();
let callbacks: CallbackManager;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, (_oldPgd, newPgd) => {
    if (seen.has(newPgd)) return;
    seen.add(newPgd);
    printer(`new address space 0x${newPgd.toString(16)}`);
  });
}

export const clean = (): void => callbacks.clean();

/** Says how many address spaces were seen. */
export function do_address_spaces(): string {
  return `${seen.size} address spaces`;
}

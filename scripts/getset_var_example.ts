/**
 * Exchanges variables with a trigger, in both directions: it tells triggers/trigger_getset_var_example.c of which process
 * and how many blocks to collect, and reads what it has collected.
 *
 *   rebox run --script scripts/getset_var_example.ts -- QEMU-ARGS...
 */
import { CallbackManager, readCpu } from "rebox";

const WANTED = 8;

let callbacks: CallbackManager;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  let target: bigint | undefined;
  callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, (_oldPgd, newPgd, cpuIndex) => {
    // Before the kernel has said where system calls enter it, it is still starting.
    if (target !== undefined || readCpu(cpuIndex).LSTAR === 0n) return;
    target = newPgd;
    watch(newPgd, printer);
  });
}

function watch(pgd: bigint, printer: (text: string) => void): void {
  const name = callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
    const list = callbacks.getTriggerVar(name, "list0") as Uint8Array;
    const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
    const addresses = Array.from({ length: list.byteLength / 8 }, (_, at) => view.getBigUint64(at * 8, true));
    printer(`${String(callbacks.getTriggerVar(name, "text0"))} blocks of 0x${pgd.toString(16)}`);
    printer(addresses.map((address) => `0x${address.toString(16)}`).join(" "));
    callbacks.rmCallback(name);
  });
  callbacks.addTrigger(name, "triggers/trigger_getset_var_example");
  callbacks.setTriggerVar(name, "var1", WANTED);
  callbacks.setTriggerVar(name, "var2", "collected");
  callbacks.setTriggerVar(name, "var3", pgd);
}

export const clean = (): void => callbacks.clean();

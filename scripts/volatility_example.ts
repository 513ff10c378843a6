/**
 * Lists the processes with Volatility 3 each time a process begins. The callback waits for Volatility, so the guest stands still
 * at the process' first instruction meanwhile.
 *
 *   rebox run --script scripts/volatility_example.ts -- QEMU-ARGS...
 *
 * It needs the permission volatility, which the pyrebox.conf that ships grants, and
 * Volatility 3: rebox vol install.
 */
import { CallbackManager, volatility } from "rebox";

/** The pyrebox.conf that ships grants this. */
export const permissions = ["volatility"];

let callbacks: CallbackManager;
let print: (text: string) => void;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { name: "process_begins" });
}

export const clean = (): void => callbacks.clean();

async function onBegin(pid: number, pgd: bigint, name: string): Promise<void> {
  print(`${pid} ${name} begins, in address space 0x${pgd.toString(16)}`);
  const { rows } = await volatility.run("linux.pslist");
  for (const row of rows) {
    print(`  ${String(row["PID"]).padStart(6)} ${String(row["PPID"]).padStart(6)} ${String(row["COMM"])}`);
  }
}

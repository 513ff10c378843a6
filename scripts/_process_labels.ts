/** The names of processes by address space, as of the moment that is looked at; for syscall_trace. */
import { CallbackManager } from "rebox";
import { readText, readTriggerBytes } from "./_system_call_recorder";
import { escape, hex } from "./_system_call_arguments";

const NAME = "traced_begins";

/** A process that has begun. */
interface Beginning {
  /** In nanoseconds, of the recorders' clock. */
  readonly time: bigint;
  readonly pgd: bigint;
  readonly label: string;
}

/**
 * "PID NAME" of the process that an address space belongs to. The kernel soon gives the address space of one that has ended to
 * another, so what is looked at later has to be looked at in its order.
 */
export class ProcessLabels {
  readonly #labels = new Map<bigint, string>();
  #beginnings: Beginning[] = [];
  #next = 0;
  #isRecorded = false;

  /**
   * @param onFirst is called with the first process there is; what it returns holds the guest
   * @param onMuch is called when take() is due
   */
  constructor(
    private readonly callbacks: CallbackManager,
    onFirst: () => Promise<void>,
    onMuch: () => void,
  ) {
    let isFirst = true;
    const onBegin = (pid: number, pgd: bigint, name: string): Promise<void> | undefined => {
      if (this.#isRecorded) {
        onMuch();
        return undefined;
      }
      this.#labels.set(pgd, describe(pid, name));
      if (!isFirst) return undefined;
      isFirst = false;
      return onFirst();
    };
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { name: NAME, replay: true });
  }

  /** From now on, those that begin are written down natively: a call into the script for each would be felt. */
  record(): void {
    this.callbacks.addTrigger(NAME, "triggers/trigger_process_record");
    this.#isRecorded = true;
  }

  /** Takes those that have begun since the last time. */
  take(): void {
    if (!this.#isRecorded) return;
    this.#applyUntil(undefined);
    const bytes = readTriggerBytes(this.callbacks, NAME, "take", "records");
    this.#beginnings = [];
    this.#next = 0;
    for (let at = 0; at < bytes.byteLength; at += 25 + bytes.getUint8(at + 24)) {
      const pid = Number(bytes.getBigUint64(at + 8, true));
      const label = describe(pid, readText(bytes, at + 25, bytes.getUint8(at + 24)));
      this.#beginnings.push({ time: bytes.getBigUint64(at, true), pgd: bytes.getBigUint64(at + 16, true), label });
    }
  }

  /** Gets the name at a time that is not before that of the last call. */
  get(pgd: bigint, time: bigint): string {
    this.#applyUntil(time);
    return this.#labels.get(pgd) ?? hex(pgd);
  }

  #applyUntil(time: bigint | undefined): void {
    for (let next; (next = this.#beginnings[this.#next]) && (time === undefined || next.time <= time); this.#next++) {
      this.#labels.set(next.pgd, next.label);
    }
  }
}

function describe(pid: number, name: string): string {
  return `${pid} ${escape(name)}`;
}

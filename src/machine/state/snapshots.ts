import { Engine } from "../engine/engine";
import { checkMayChange } from "../engine/recorded";
import { QmpError } from "../errors";

/** The bytes of a name that QEMU keeps: it drops the rest (QEMUSnapshotInfo, include/block/snapshot.h). */
const LONGEST_NAME = 255;

/** QEMU's reasons that say that a snapshot was not begun with: the guest and its disks are as they were. */
const NOTHING_LOADED =
  /does not exist|does not support snapshots|can store vmstate|can not be found|disk-only snapshot|migration|Record.replay/i;

const ADVICE: readonly (readonly [reason: RegExp, advice: string])[] = [
  [
    /can store vmstate/,
    "give the machine a disk that holds snapshots: qemu-img create -f qcow2 FILE 64M, and -drive file=FILE,if=virtio",
  ],
  [
    /does not support snapshots/,
    "every disk that the guest can write must hold snapshots: make it qcow2 (qemu-img convert -O qcow2), or readonly=on",
  ],
  [
    /Input.output error|No space left|too large|quota/i,
    "the disk image cannot be written: is the host's file system full? The guest goes on; make space, and save it again",
  ],
  [/non-migratable device/, "start the machine without this device"],
];

/**
 * Saves a snapshot of the machine into its disk image, which must be able to hold one (qcow2). One of the same name is replaced.
 *
 * The guest stands still meanwhile, and continues also when the snapshot could not be saved. In a callback the snapshot is taken
 * once the callback has returned.
 *
 * @param name 1 to 255 bytes
 * @throws QmpError with QEMU's reason
 * @throws RangeError for a name that QEMU cannot keep
 * @throws RecordedError when the machine is recorded or replayed
 */
export async function saveVm(name: string): Promise<void> {
  checkName(name);
  checkMayChange(Engine.get().native, "no snapshot can be saved");
  await saveSnapshot(Engine.get(), name);
}

/** The monitor's side of a machine. */
export type SnapshotMachine = Pick<Engine, "hmp" | "qmp">;

/** Saves a snapshot, and looks whether it is there. @throws QmpError */
export async function saveSnapshot(engine: SnapshotMachine, name: string): Promise<void> {
  await executeLine(engine, "savevm", name);
  // QEMU does not report that the end of the state could not be written.
  if (await hasSnapshot(engine, name)) return;
  const reason = "the state could not be written to the end: no snapshot was saved; is the host's file system full?";
  throw new QmpError(`savevm ${quote(name)}`, "GenericError", reason);
}

/**
 * Loads a snapshot of the machine. Subscriptions stay.
 *
 * @throws QmpError with QEMU's reason; when the snapshot exists but cannot be loaded the guest stays paused
 * @throws RangeError for a name that QEMU cannot keep
 * @throws RecordedError when the machine is recorded or replayed
 */
export async function loadVm(name: string): Promise<void> {
  checkName(name);
  const engine = Engine.get();
  checkMayChange(engine.native, "no snapshot can be loaded");
  const wasRunning = engine.state === "running";
  try {
    await executeLine(engine, "loadvm", name);
  } catch (error) {
    // QEMU has stopped the guest to look for the snapshot, and leaves it so. Nothing was loaded: it can go on.
    if (wasRunning && error instanceof QmpError && NOTHING_LOADED.test(reasonOf(error))) await engine.resume();
    throw error;
  }
}

function checkName(name: string): void {
  const size = Buffer.byteLength(name);
  if (size > 0 && size <= LONGEST_NAME && !name.includes("\0")) return;
  throw new RangeError(`the name of a snapshot has 1 to ${LONGEST_NAME} bytes and no zero; this one has ${size}`);
}

/** Executes a command of the monitor on a snapshot: its errors say what to do. */
async function executeLine(engine: SnapshotMachine, command: "savevm" | "loadvm", name: string): Promise<void> {
  const line = `${command} ${quote(name)}`;
  try {
    await engine.hmp(line);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    const reason = reasonOf(error);
    const advice = ADVICE.find(([pattern]) => pattern.test(reason))?.[1];
    throw advice === undefined ? error : new QmpError(line, error.errorClass, `${reason}; ${advice}`);
  }
}

/** QEMU's own words, without the name that was asked for. */
function reasonOf({ command, message }: QmpError): string {
  return message.slice(`${command}: `.length);
}

/** The monitor's words end at white space and have its own quotes. */
function quote(word: string): string {
  return `"${word.replace(/[\\"]/g, "\\$&")}"`;
}

interface BlockNode {
  readonly image: { readonly snapshots?: readonly { readonly name: string; readonly "vm-state-size": number }[] };
}

async function hasSnapshot(engine: SnapshotMachine, name: string): Promise<boolean> {
  const nodes = (await engine.qmp("query-named-block-nodes", { flat: true })) as readonly BlockNode[];
  return nodes.some(({ image }) => image.snapshots?.some((one) => one.name === name && one["vm-state-size"] > 0));
}

import { RecordingError } from "../errors";
import { type MachineOption, readParts } from "./machine-options";

/** What devices get from the host behind the recorder's back, by the beginnings of their names. */
const REFUSED_DEVICES: readonly (readonly [name: RegExp, reason: string])[] = [
  [/^vhost-|^vfio-|^ivshmem|^pvrdma/, "it shares memory with the host, which writes it at any time"],
  [/^usb-host|^usb-redir|^u2f-|^ccid-|^smartcard/, "what comes from the host's devices is not in QEMU's log"],
  [
    /^virtserialport|^virtconsole/,
    "the guest sees when its other end is opened and closed, which is not in QEMU's log",
  ],
  [/^virtio-9p|^virtio-fs|^vhost-user-fs/, "it reads files of the host, which are not in QEMU's log"],
  [
    /^(isa|pci|usb)-serial|^pci-serial-|^isa-debugcon|^isa-parallel/,
    "QEMU records ports only where -serial, -parallel or -debugcon asks for them",
  ],
  [/^tpm-/, "what its other end answers is not in QEMU's log"],
  [/^virtio-(gpu|vga)-(gl|rutabaga)/, "it is drawn by the host's graphics processor"],
  [/^scsi-(generic|block)/, "it is a device of the host"],
  [/^nvme/, "QEMU's recorder does not order the answers of NVMe drives"],
  [/^(loader|guest-loader)$/, "its file is not kept with the recording"],
  [/^floppy|^sd-card/, "QEMU reads it while the guest waits, which its recorder cannot order"],
];

/** Ports that can be recorded where nobody is at their other end. */
const SILENT_PORTS = /^virt(serialport|console)$/;

const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  "-snapshot": "the guest's disks are not written anyway: leave it out",
  "-net": "say it with -nic or -netdev, whose packets can be recorded",
};

/**
 * Refuses what cannot be recorded.
 *
 * @param silent the names of the machine's -chardev whose other end is nobody
 * @throws RecordingError that names the option, the reason, and what to do
 */
export function refuseUnrecordable({ name, value = "" }: MachineOption, silent: ReadonlySet<string>): void {
  const refuse = (reason: string): never => {
    throw new RecordingError(`${name}${value === "" ? "" : ` ${value}`} cannot be recorded: ${reason}`);
  };
  const parts = readParts(value);
  const find = (key: string) => parts.find(([part]) => part === key)?.[1];
  const reason = REFUSED_OPTIONS[name];
  if (reason !== undefined && !(name === "-net" && value === "none")) refuse(reason);
  if (name === "-smp" && (find("cpus") ?? find("") ?? "1") !== "1") {
    refuse("QEMU records machines with one vCPU; leave -smp out");
  }
  if (name === "-device") {
    const type = value.startsWith("{") ? readDriver(value, refuse) : (find("driver") ?? find("") ?? "");
    const device = REFUSED_DEVICES.find(([pattern]) => pattern.test(type));
    const isSilent = SILENT_PORTS.test(type) && silent.has(find("chardev") ?? "");
    if (device && !isSilent) refuse(`${type}: ${device[1]}`);
    if (type === "vmgenid" && (find("guid") ?? "auto") === "auto") {
      refuse("vmgenid: its number would be another one in each replay; give it one: guid=UUID");
    }
  }
  if (name === "-rtc" && find("base") === "localtime") {
    refuse("the host's time zone is not in QEMU's log: use base=utc");
  }
  if (["-fw_cfg", "-smbios"].includes(name) && find("file") !== undefined) {
    refuse("its file is not kept with the recording");
  }
  if (name === "-icount") refuseIcount(find, refuse);
}

function readDriver(value: string, refuse: (reason: string) => never): string {
  try {
    return String((JSON.parse(value) as { driver?: unknown }).driver);
  } catch {
    return refuse("it is no JSON that can be read");
  }
}

function refuseIcount(find: (key: string) => string | undefined, refuse: (reason: string) => never): void {
  if (["off", "no", "false"].includes(find("sleep") ?? "")) {
    // icount_account_warp_timer() of accel/tcg/icount-common.c returns before replay_async_events().
    refuse(
      "with sleep=off QEMU's recorder never hands a finished operation of a device to the guest, which waits for it for ever: leave sleep=off out",
    );
  }
  for (const key of ["rr", "rrfile", "rrsnapshot"]) {
    if (find(key) !== undefined) refuse(`${key} is set by rebox: leave it out`);
  }
}

import { config } from "../../../../config/schema/settings";

/** The settings of a machine that QEMU runs, by whatever program. */
export const QEMU_MACHINE_SETTINGS = {
  qcow2_path: config.filePath({
    ...{ required: false, allowEmpty: true, readable: true, aliases: ["image"], example: "/srv/vms/office/disk.qcow2" },
    description: "The disk's image, qcow2. It is only read: each start gets a disk of its own over it.",
  }),
  snapshot_path: config.filePath({
    ...{ required: false, allowEmpty: true, readable: true, example: "/srv/vms/office/memory.snapshot" },
    description: "A memory snapshot (a migration stream; plain, lz4 or gzip) that a start goes on from.",
  }),
  machineinfo_path: config.filePath({
    ...{ required: false, allowEmpty: true, readable: true },
    description: "A machineinfo.json with QEMU's start arguments, instead of the settings below.",
  }),
  kernel: config.filePath({ required: false, allowEmpty: true, readable: true, description: "A kernel to boot." }),
  initrd: config.filePath({
    ...{ required: false, allowEmpty: true, readable: true },
    description: "The kernel's initial RAM disk.",
  }),
  append: config.string({ required: false, allowEmpty: true, description: "The kernel's command line." }),
  memory: config.string({ default: "512M", description: "How much memory it has." }),
  cpus: config.int({ default: 1, min: 1, max: 255, description: "How many processors it has." }),
  cpu: config.string({ required: false, allowEmpty: true, description: "QEMU's name of the processor." }),
  console_user: config.string({
    ...{ required: false, allowEmpty: true },
    description: "Who logs in where the guest's serial console asks for it.",
  }),
  console_password: config.string({ required: false, allowEmpty: true, sensitive: true, description: "The password." }),
  args: config.string({
    ...{ required: false, allowEmpty: true },
    description: "More arguments for QEMU, quoted as in a shell; %DISPOSABLE_DISK_PATH% is the disk of the run.",
  }),
};

/** The settings that are the same for all machines of one QEMU. */
export const QEMU_SETTINGS = {
  disposable_copy_dir: config.directoryPath({
    ...{ required: false, allowEmpty: true, writable: true },
    description: "Where the disks of runs are made; the lab's own folder without it.",
  }),
};

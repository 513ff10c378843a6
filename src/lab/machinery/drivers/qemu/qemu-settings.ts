import { z } from "zod";
import { config } from "../../../../config/schema/settings";
import { networkSetting } from "../../../network/network-choice";

/** The settings of a machine that QEMU runs, of every machinery based on QEMU. */
export const QEMU_MACHINE_SETTINGS = {
  qcow2_path: config
    .filePath({ readable: true })
    .optional()
    .meta({
      ...{ aliases: ["image"], examples: ["/srv/vms/office/disk.qcow2"] },
      description: "The disk's image, qcow2. It is only read: each start gets a disk of its own over it.",
    }),
  snapshot_path: config
    .filePath({ readable: true })
    .optional()
    .meta({
      examples: ["/srv/vms/office/memory.snapshot"],
      description: "A memory snapshot (a migration stream; plain, lz4 or gzip) that a start goes on from.",
    }),
  golden: z
    .string()
    .optional()
    .describe('The golden state that a start goes on from: the newest without it, "none" for a start without any.'),
  max: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("How many clones of its golden state may run at the same time, as machines NAME#1, NAME#2 ..."),
  machineinfo_path: config
    .filePath({ readable: true })
    .optional()
    .describe("A machineinfo.json with QEMU's start arguments, instead of the settings below."),
  kernel: config.filePath({ readable: true }).optional().describe("A kernel to boot."),
  initrd: config.filePath({ readable: true }).optional().describe("The kernel's initial RAM disk."),
  append: z.string().optional().describe("The kernel's command line."),
  memory: z.string().default("512M").describe("How much memory it has."),
  cpus: z.int().min(1).max(255).default(1).describe("How many processors it has."),
  cpu: z.string().optional().describe("QEMU's name of the processor."),
  console_user: z.string().optional().describe("Who logs in where the guest's serial console asks for it."),
  console_password: z.string().optional().meta({ secret: true, description: "The password." }),
  guest_agent: z
    .boolean()
    .default(false)
    .describe("yes: it has a port for QEMU's guest agent; way_in: guest-agent gives it one, too."),
  screen: z
    .boolean()
    .default(true)
    .describe("no: its screen cannot be watched while it runs, and QEMU may be one without VNC."),
  network: networkSetting()
    .optional()
    .meta({
      examples: ["simulated"],
      description: "The network of its card: none, simulated, user or bridge:INTERFACE; without it, it has no card.",
    }),
  network_card: z
    .string()
    .regex(/^[\w-]+$/)
    .default("e1000")
    .describe("QEMU's name of its network card."),
  args: z
    .string()
    .optional()
    .describe("More arguments for QEMU, quoted as in a shell; %DISPOSABLE_DISK_PATH% is the disk of the run."),
};

/** The settings that are the same for all machines of one QEMU. */
export const QEMU_SETTINGS = {
  disposable_copy_dir: config
    .directoryPath({ writable: true })
    .optional()
    .describe("Where the disks of runs are made; the lab's own folder without it."),
};

import { z } from "zod";
import { LibVirtMachinery } from "./libvirt-machinery";

const SETTINGS = {
  dsn: z.string().meta({
    examples: ["qemu:///session"],
    description: "libvirt's connection; virsh -V tells what it knows.",
  }),
};

/** Whatever libvirt runs, on a connection of the user's choice. */
export class LibVirtUriMachinery extends LibVirtMachinery<typeof SETTINGS> {
  override readonly name = "libvirt";
  override readonly description = "Machines of any hypervisor that libvirt knows, by virsh.";
  override readonly settings = SETTINGS;

  get dsn(): string {
    return this.config.dsn;
  }
}

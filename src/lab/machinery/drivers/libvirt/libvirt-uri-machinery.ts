import { config } from "../../../../config/schema/settings";
import { LibVirtMachinery } from "./libvirt-machinery";

const SETTINGS = {
  dsn: config.string({
    example: "qemu:///session",
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

import { z } from "zod";
import { LibVirtMachinery } from "./libvirt-machinery";

const SETTINGS = {
  dsn: z.string().default("qemu:///system").describe("libvirt's connection."),
};

/** QEMU and KVM under libvirt. */
export class KvmMachinery extends LibVirtMachinery<typeof SETTINGS> {
  override readonly name = "kvm";
  override readonly description = "Machines of QEMU/KVM under libvirt, by virsh.";
  override readonly settings = SETTINGS;

  get dsn(): string {
    return this.config.dsn;
  }
}

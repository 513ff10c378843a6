import { KvmMachinery } from "./machinery/drivers/libvirt/kvm-machinery";
import { LibVirtUriMachinery } from "./machinery/drivers/libvirt/libvirt-uri-machinery";
import { QemuMachinery } from "./machinery/drivers/qemu/qemu-machinery";
import { ReboxMachinery } from "./machinery/drivers/rebox/rebox-machinery";
import type { Machinery } from "./machinery/machinery";

/** Makes one of each machinery that comes with rebox. */
export function createShippedMachineries(): Machinery[] {
  return [new ReboxMachinery(), new QemuMachinery(), new KvmMachinery(), new LibVirtUriMachinery()] as Machinery[];
}

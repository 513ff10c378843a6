import { KvmMachinery } from "../drivers/libvirt/kvm-machinery";
import { LibVirtUriMachinery } from "../drivers/libvirt/libvirt-uri-machinery";
import { QemuMachinery } from "../drivers/qemu/qemu-machinery";
import { ReboxMachinery } from "../drivers/rebox/rebox-machinery";
import type { Machinery } from "../machinery";

/** Makes one of each machinery that comes with rebox. */
export function createShippedMachineries(): Machinery[] {
  return [new ReboxMachinery(), new QemuMachinery(), new KvmMachinery(), new LibVirtUriMachinery()] as Machinery[];
}

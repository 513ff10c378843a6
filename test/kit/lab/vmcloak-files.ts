import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The arguments that VMCloak writes for QEMU 5.2: by _make_args() of its platforms/qemu.py, with 2 processors, 2048 MiB and
 * the bridge br0.
 */
export const VMCLOAK_ARGUMENTS = [
  ...["-nodefaults", "-M", "q35", "-vga", "std", "-smp", "2", "-overcommit", "mem-lock=off"],
  ...["-rtc", "base=localtime,driftfix=slew", "-m", "2048", "-netdev", "type=bridge,br=br0,id=net0"],
  ...["-device", "rtl8139,netdev=net0,mac=52:54:00:11:22:33,bus=pcie.0,addr=3", "-device", "ich9-ahci,id=ahci"],
  ...["-device", "ide-hd,bus=ahci.0,unit=0,drive=disk,bootindex=2"],
  ...["-device", "ide-cd,bus=ahci.1,unit=0,drive=cdrom,bootindex=1"],
  ...["-device", "usb-ehci,id=ehci", "-device", "usb-tablet,bus=ehci.0", "-soundhw", "hda", "-enable-kvm"],
  ...["-drive", "if=none,id=cdrom,readonly=on"],
  ...["-drive", "file=%DISPOSABLE_DISK_PATH%,format=qcow2,if=none,id=disk", "-display", "none"],
];

/**
 * Returns the text of a machineinfo.json in the form of VMCloak's write_dump(): its members, in its order, indented as it
 * does.
 *
 * @param changes members of "machine" that are other than those of a Windows 10
 */
export function renderMachineInfo(name: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const machine = {
    ...{ name, ip: "192.168.30.101", agent_port: 8000, os_name: "windows", os_version: "10", architecture: "amd64" },
    ...{ tags: ["adobepdf", "dotnet"], bridge: "br0", mac: "52:54:00:11:22:33", gateway: "192.168.30.1" },
    ...{ netmask: "255.255.255.0", disk: "disk.qcow2", start_args: VMCLOAK_ARGUMENTS },
    ...{ memory_snapshot: "memory.snapshot", ...changes },
  };
  return JSON.stringify(
    { vmcloak_version: null, machinery: "qemu", machinery_version: "5.2.0", machine },
    undefined,
    2,
  );
}

/** Makes the folder that VMCloak makes for a machine, with files that are empty but for the description. */
export function makeVmcloakFolder(path: string, description: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "machineinfo.json"), description);
  for (const file of ["disk.qcow2", "memory.snapshot"]) writeFileSync(join(path, file), "");
}

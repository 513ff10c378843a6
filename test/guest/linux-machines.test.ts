import { defaultKit } from "./guest-kits";
import { compareGuest } from "./linux-comparison";

compareGuest({
  name: "two vCPUs, no KASLR, no page-table isolation, 6 GiB",
  kit: defaultKit(),
  kernelArgs: "nokaslr nopti",
  qemuArgs: ["-smp", "2", "-m", "6144"],
});
compareGuest({
  name: "page tables of five levels, isolated",
  kit: defaultKit(),
  kernelArgs: "pti=on",
  qemuArgs: ["-cpu", "max", "-m", "512"],
});

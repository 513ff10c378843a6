import { defaultKit, listKits } from "../kit/guests/guest-kits";
import { compareGuest } from "../kit/systems/linux-comparison";

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
// The image begins at 16 MiB and is larger than that: it lies in the memory of both nodes.
compareGuest({
  name: "a kernel across the border of two NUMA nodes' memory",
  kit: defaultKit(),
  kernelArgs: "nokaslr",
  qemuArgs: [
    ...["-m", "512"],
    ...["-object", "memory-backend-ram,id=low,size=32M", "-object", "memory-backend-ram,id=high,size=480M"],
    ...["-numa", "node,nodeid=0,memdev=low", "-numa", "node,nodeid=1,memdev=high"],
  ],
});

// More memory than a 32-bit kernel maps at once: the rest of it is reached by page tables only.
const narrow = listKits().find(({ architecture }) => architecture === "i386");
if (narrow) {
  compareGuest({
    name: "32 bits, two vCPUs, 1.5 GiB, isolated page tables",
    kit: narrow,
    kernelArgs: "pti=on",
    qemuArgs: ["-smp", "2", "-m", "1536"],
  });
}

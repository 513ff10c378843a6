import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { guestInitramfs } from "../guest-initramfs.mjs";
import { DEFAULT_KERNEL, guestKernel, kernelDirectory, kernelIdentity } from "../guest-kernel.mjs";
import { places } from "../places.mjs";

/**
 * Makes the step that builds the guest kit: a Debian kernel, and an initramfs with native/guest's tasks.
 * @param {string} [kernel] another kernel, whose kit goes to a directory of its own beside the default one
 */
export function guestStep(kernel) {
  const name = kernel === undefined ? "guest" : `guest-${kernelDirectory(kernel)}`;
  const directory = join(places.build, "guest", kernel === undefined ? "" : kernelDirectory(kernel));
  const inputs = () =>
    new Fingerprint()
      .text("kernel", kernelIdentity(kernel ?? DEFAULT_KERNEL))
      .tree(places.nativeGuest)
      .tree(join(places.root, "native/setup"), (path) => /\/(guest-|kernel-|debian-package)[^/]*$/.test(path));
  return {
    name,
    sharesCache: true,
    isDone: () => existsSync(join(directory, "guest.json")) && inputs().matches(name),
    act: async (task) => {
      const built = inputs();
      const { image, systemMap, modules, ...facts } = await guestKernel(task, kernel ?? DEFAULT_KERNEL);
      const { archive, busybox, targets } = await guestInitramfs(task, facts.architecture, modules);
      mkdirSync(directory, { recursive: true });
      // The description is last and first to go: a kit that has one is whole.
      rmSync(join(directory, "guest.json"), { force: true });
      writeFileSync(join(directory, "vmlinuz"), image);
      writeFileSync(join(directory, "initramfs.cpio.gz"), archive);
      mkdirSync(join(directory, "targets"), { recursive: true });
      for (const [name, program] of targets) writeFileSync(join(directory, "targets", name), program, { mode: 0o755 });
      if (systemMap) writeFileSync(join(directory, "System.map"), systemMap);
      const description = { asked: kernel, ...facts, vmlinuz: "vmlinuz", initramfs: "initramfs.cpio.gz", busybox };
      writeFileSync(join(directory, "guest.json"), `${JSON.stringify(description, null, 2)}\n`);
      built.save(name);
      return `built with ${facts.kernel} ${facts.version}`;
    },
  };
}

/** Lists the kernels of the kits that were asked for by name earlier: tests run on them too, so they must not grow old. */
export function keptKernels() {
  const guests = join(places.build, "guest");
  const kits = existsSync(guests) ? readdirSync(guests).map((name) => join(guests, name, "guest.json")) : [];
  return kits.filter(existsSync).flatMap((file) => JSON.parse(readFileSync(file, "utf8")).asked ?? []);
}

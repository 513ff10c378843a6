/** Signatures of what changes the kernel. */
import { defineSignature } from "rebox/lab";
import { isSystemProgram, onAct, onCommand } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "kernel-module", score: 8, techniques: ["T1547.006", "T1014"] },
    title: "It loads a kernel module",
    see: (act) =>
      act.type === "kernel.module" &&
      act["way"] !== "delete_module" &&
      !String(act["way"]).startsWith("Nt") &&
      !isSystemProgram(act.doer, /^(systemd-udevd|udevadm|systemd-modules-load)$/),
  }),
  defineSignature({
    ...{ name: "kernel-module-removed", score: 6, techniques: ["T1562.001"] },
    title: "It removes a kernel module",
    see: onAct("kernel.module", (act) => act["way"] === "delete_module"),
  }),
  defineSignature({
    ...{ name: "kernel-program", score: 6, techniques: ["T1014"] },
    title: "It puts a program into the kernel (bpf)",
    see: (act) => act.type === "kernel.bpf" && act["command"] === 5 && !isSystemProgram(act.doer, /^systemd$/),
  }),
  defineSignature({
    ...{ name: "other-kernel", score: 8, techniques: ["T1014"] },
    title: "It loads another kernel (kexec)",
    see: onAct("kernel.kexec"),
  }),
  defineSignature({
    ...{ name: "past-system-calls", score: 3, techniques: ["T1562"] },
    title: "It works past system calls (io_uring)",
    see: onAct("process.io_uring"),
  }),
  defineSignature({
    ...{ name: "new-namespaces", score: 3, techniques: ["T1611"] },
    title: "It makes namespaces of users or processes",
    see: onAct(
      "process.namespaces",
      (act) => Array.isArray(act["made"]) && (act["made"] as string[]).some((one) => one === "user" || one === "pid"),
    ),
  }),
  defineSignature({
    ...{ name: "leaves-container", score: 8, techniques: ["T1611"] },
    title: "It looks for a way out of a container",
    see: onCommand(
      /\bnsenter (.* )?(-t|--target)[ =]?1\b|\/release_agent|\/var\/run\/docker\.sock|\bchroot \/(host|mnt)\b/,
    ),
  }),
];

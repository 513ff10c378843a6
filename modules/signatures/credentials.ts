/** Signatures of what takes or raises rights. */
import { defineSignature } from "rebox/lab";
import { getPath, isSystemProgram, onAct, onAny, onCommand, onWrite } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "setuid-file", score: 7, techniques: ["T1548.001"] },
    title: "It makes a program run with its owner's rights (setuid)",
    see: (act) =>
      act.type === "file.mode" &&
      /^[2-7]/.test(String(act["mode"])) &&
      Number.parseInt(String(act["mode"]), 8) % 2 === 1 &&
      !isSystemProgram(act.doer, /^(dpkg|tar|rpm)$/),
  }),
  defineSignature({
    ...{ name: "file-capabilities", score: 6, techniques: ["T1548"] },
    title: "It gives a program capabilities",
    see: onAny(
      onAct("file.attribute", (act) => act["name"] === "security.capability"),
      onCommand(/(^|\/)setcap /),
    ),
  }),
  defineSignature({
    ...{ name: "sudoers", score: 8, techniques: ["T1548.003"] },
    title: "It changes who may become root",
    see: onWrite(/^\/etc\/(sudoers(\.d\/.+)?|doas\.conf|polkit-1\/(rules\.d|localauthority)\/.+)$/),
  }),
  defineSignature({
    ...{ name: "password-hashes", score: 7, techniques: ["T1003.008"] },
    title: "It has the hashes of passwords shown",
    see: onCommand(/\b(unshadow|cat|head|tail|cp|less|more|strings|xxd|base64) (.* )?\/etc\/g?shadow\b/),
  }),
  defineSignature({
    ...{ name: "private-keys", score: 6, techniques: ["T1552.004"] },
    title: "It looks for private keys",
    see: onCommand(/\b(find|grep|locate|ls|cat|cp|tar) .*(id_rsa|id_ed25519|id_ecdsa|id_dsa|\.pem\b|\.ssh\/)/),
  }),
  defineSignature({
    ...{ name: "cloud-credentials", score: 6, techniques: ["T1552.001"] },
    title: "It looks for credentials of clouds and containers",
    see: onCommand(/\.(aws\/credentials|kube\/config|docker\/config\.json|azure\/|config\/gcloud)|169\.254\.169\.254/),
  }),
  defineSignature({
    ...{ name: "memory-of-others", score: 8, techniques: ["T1055.009"] },
    title: "It writes into the memory of another process",
    see: onAny(
      // Calls of Windows have their own signatures: who makes a process there writes into it.
      onAct("process.injected", (act) => !String(act["way"]).startsWith("Nt")),
      (act) =>
        act.type === "file.written" &&
        /^\/proc\/\d+\/mem$/.test(getPath(act)) &&
        getPath(act) !== `/proc/${act.doer?.pid}/mem`,
    ),
  }),
  defineSignature({
    ...{ name: "traces-others", score: 6, techniques: ["T1055.008"] },
    title: "It takes control of another process (ptrace)",
    see: (act) =>
      act.type === "process.traced" &&
      act["request"] !== "traceme" &&
      !isSystemProgram(act.doer, /^(gdb|strace|ltrace)$/),
  }),
  defineSignature({
    ...{ name: "refuses-debugger", score: 4, techniques: ["T1622"] },
    title: "It makes sure that nobody traces it",
    see: (act) =>
      act.type === "process.traced" &&
      act["request"] === "traceme" &&
      act.doer?.parent?.executable !== undefined &&
      !isSystemProgram(act.doer.parent, /^(gdb|strace|ltrace|bash|sh)$/),
  }),
  defineSignature({
    ...{ name: "preloaded-program", score: 6, techniques: ["T1574.006"] },
    title: "It starts a program with a library of its own in it (LD_PRELOAD)",
    see: onCommand(/\bLD_(PRELOAD|AUDIT)=/),
  }),
];

/** Signatures of what runs, and from where. */
import { defineSignature } from "rebox/lab";
import { getWritten, onAct, onAny, onCommand, onMany } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "dropped-program", score: 6, techniques: ["T1204.002"] },
    title: "It runs a program that it has written itself",
    watch: () => {
      const written = new Set<string>();
      return (act) => {
        const path = getWritten(act);
        if (path !== undefined) written.add(path);
        const program = act.type === "process.executed" ? act.doer?.executable : undefined;
        return program !== undefined && written.has(program) ? `it ran ${program}` : undefined;
      };
    },
  }),
  defineSignature({
    ...{ name: "program-from-temporary", score: 6, techniques: ["T1059"] },
    title: "It runs a program in memory-backed shared folders",
    see: onAct("process.executed", (act) => /^\/(dev\/shm|run\/shm|dev\/mqueue)\//.test(act.doer?.executable ?? "")),
  }),
  defineSignature({
    ...{ name: "interpreter-command", score: 3, techniques: ["T1059.006", "T1059.004"] },
    title: "It runs code that is given in a command line",
    see: onCommand(/(^|\/)(python[\d.]*|perl|ruby|php|node|lua[\d.]*) (-\w+ )*-(c|e|r) ?\S/),
  }),
  defineSignature({
    ...{ name: "kills-others", score: 5, techniques: ["T1489"] },
    title: "It ends many other processes",
    watch: onMany(
      10,
      (act) =>
        act.type === "process.signalled" && [9, 15].includes(Number(act["signal"])) ? String(act["target"]) : undefined,
      "processes were sent an end",
    ),
  }),
  defineSignature({
    ...{ name: "service-stopped", score: 5, techniques: ["T1489"] },
    title: "It stops services of the system",
    see: onCommand(/\bsystemctl (.* )?(stop|disable|mask) /, /(^|\/)service \S+ stop\b/),
  }),
  defineSignature({
    ...{ name: "fork-storm", score: 5, techniques: ["T1499"] },
    title: "It makes very many processes",
    watch: onMany(
      500,
      (act) => (act.type === "process.created" ? String(act["pid"]) : undefined),
      "processes were made",
    ),
  }),
  defineSignature({
    ...{ name: "miner", score: 9, techniques: ["T1496"] },
    title: "It is, or starts, a program that mines coins",
    see: onCommand(
      /\b(xmrig|minerd|cpuminer|ethminer|nbminer|t-rex|lolminer|xmr-stak)\b|stratum\+(tcp|ssl):\/\/|--donate-level|\bcryptonight\b|\brandomx\b/i,
    ),
  }),
  defineSignature({
    ...{ name: "looks-at-system", score: 1, techniques: ["T1082"] },
    title: "It asks what kind of system this is",
    see: onAny(
      onAct("process.executed", (act) =>
        /\/(uname|lsb_release|hostnamectl|lscpu|dmidecode|lshw)$/.test(act.doer?.executable ?? ""),
      ),
      onCommand(/\/etc\/(os-release|issue|lsb-release)\b/),
    ),
  }),
  defineSignature({
    ...{ name: "looks-for-sandbox", score: 5, techniques: ["T1497.001"] },
    title: "It asks whether this is a virtual machine",
    see: onCommand(
      /\b(systemd-detect-virt|virt-what)\b|\/sys\/class\/dmi\/id\/(product_name|sys_vendor|bios_vendor)|\bgrep .*(hypervisor|qemu|vmware|virtualbox|kvm)\b/i,
    ),
  }),
  defineSignature({
    ...{ name: "looks-at-users", score: 1, techniques: ["T1033"] },
    title: "It asks who is and was here",
    see: onAct("process.executed", (act) => /\/(who|w|last|lastlog|id|whoami|users)$/.test(act.doer?.executable ?? "")),
  }),
  defineSignature({
    ...{ name: "looks-at-network", score: 1, techniques: ["T1016", "T1049"] },
    title: "It asks about the network around it",
    see: onAct("process.executed", (act) => /\/(ip|ifconfig|netstat|ss|arp|route)$/.test(act.doer?.executable ?? "")),
  }),
  defineSignature({
    ...{ name: "looks-at-processes", score: 1, techniques: ["T1057"] },
    title: "It asks what else runs",
    see: onAct("process.executed", (act) => /\/(ps|top|pgrep|pidof|lsof)$/.test(act.doer?.executable ?? "")),
  }),
  defineSignature({
    ...{ name: "waits-long", score: 2, techniques: ["T1497.003"] },
    title: "It waits before it does something",
    see: onCommand(/(^|\/)sleep (\d{3,}|\d+[mhd])\b/),
  }),
];

/** Signatures of what programs of Windows do to other processes, to the kernel, and what they run. */
import { defineSignature } from "rebox/lab";
import { getWritten, onAct, onAny, onCommand } from "./_conditions";
import { onFile, onInjection, toPath, watchChildren } from "./_windows";

const WRITING = onInjection(["NtWriteVirtualMemory", "NtMapViewOfSection", "NtMapViewOfSectionEx"]);
/** Each of these alone has a reason; all of them on one process replace its program. */
const HOLLOWING = ["NtWriteVirtualMemory", "NtSetContextThread"];

export const signatures = [
  defineSignature({
    ...{ name: "writes-into-process", score: 8, techniques: ["T1055"] },
    title: "It puts something into the memory of a process that it has not made",
    // Who makes a process writes into it, as Windows' own functions do.
    watch: watchChildren((act, isOwnChild) => (isOwnChild ? undefined : WRITING(act))),
  }),
  defineSignature({
    ...{ name: "remote-thread", score: 8, techniques: ["T1055.002"] },
    title: "It starts a thread in a process that it has not made",
    // Until Vista the first thread of a new process was made so.
    watch: watchChildren((act, isOwnChild) =>
      isOwnChild ? undefined : onInjection(["NtCreateThread", "NtCreateThreadEx"])(act),
    ),
  }),
  defineSignature({
    ...{ name: "hollowed-process", score: 9, techniques: ["T1055.012"] },
    title: "It replaces the program of a process that it has made",
    watch: () => {
      const ways = new Map<unknown, Set<string>>();
      return (act) => {
        if (act.type !== "process.injected" || !HOLLOWING.includes(String(act["way"]))) return undefined;
        const target = act["target"];
        const seen = (ways.get(target) ?? new Set()).add(String(act["way"]));
        ways.set(target, seen);
        return seen.size === HOLLOWING.length ? `${HOLLOWING.join(", ")} on ${String(act["targetName"])}` : undefined;
      };
    },
  }),
  defineSignature({
    ...{ name: "queued-call", score: 8, techniques: ["T1055.004"] },
    title: "It has a thread of another process call a function (APC)",
    see: onInjection(["NtQueueApcThread", "NtQueueApcThreadEx", "NtQueueApcThreadEx2"]),
  }),
  defineSignature({
    ...{ name: "suspends-others", score: 5, techniques: ["T1562.001"] },
    title: "It halts another process",
    watch: watchChildren((act, isOwnChild) =>
      isOwnChild ? undefined : onInjection(["NtSuspendProcess", "NtSuspendThread"])(act),
    ),
  }),
  defineSignature({
    ...{ name: "foreign-code-memory", score: 7, techniques: ["T1055"] },
    title: "It makes memory of another process writable and executable at once",
    see: onAct("process.memory", (act) => act["target"] !== undefined),
  }),
  defineSignature({
    ...{ name: "opens-logon-process", score: 8, techniques: ["T1003.001"] },
    title: "It opens the process that has the passwords, to change it (lsass)",
    see: onAct("process.opened", (act) => /^lsass\.exe$/i.test(String(act["targetName"]))),
  }),
  defineSignature({
    ...{ name: "ends-others", score: 4, techniques: ["T1489"] },
    title: "It ends processes that it has not made",
    watch: watchChildren((act, isOwnChild) =>
      act.type === "process.terminated" && !isOwnChild ? `it ended ${String(act["targetName"])}` : undefined,
    ),
  }),
  defineSignature({
    ...{ name: "windows-credentials", score: 9, techniques: ["T1003.001", "T1003.002", "T1003.003"] },
    title: "It copies passwords, or the memory of the process that has them",
    see: onAny(
      onCommand(
        /\breg(\.exe)?"? +(save|export) +"?(hklm|HKEY_LOCAL_MACHINE)\\(sam|system|security)\b/i,
        /\bcomsvcs(\.dll)?"?[ ,]+(#\+?0*24|MiniDump)\b/i,
        /\bprocdump(64)?(\.exe)?"? .*\blsass\b/i,
        /\bntdsutil(\.exe)?"? .*\bifm\b/i,
        /\b(sekurlsa|lsadump|Invoke-Mimikatz)\b/i,
      ),
      onFile(/\\(ntds\.dit|lsass[^\\]*\.dmp)$/i),
    ),
  }),
  defineSignature({
    ...{ name: "windows-driver", score: 8, techniques: ["T1547.006", "T1014"] },
    title: "It has Windows load a driver",
    see: onAny(
      onAct("kernel.module", (act) => act["way"] === "NtLoadDriver"),
      onFile(/^\\Windows\\System32\\drivers\\[^\\]+\.sys$/i),
    ),
  }),
  defineSignature({
    ...{ name: "windows-dropped-program", score: 6, techniques: ["T1204.002"] },
    title: "It runs a program of Windows that it has written itself",
    watch: () => {
      const written = new Set<string>();
      return (act) => {
        const path = getWritten(act);
        if (path?.includes("\\") === true) written.add(toPath(path).toLowerCase());
        const program = act.type === "process.executed" ? (act.doer?.executable ?? "") : "";
        return program.includes("\\") && written.has(toPath(program).toLowerCase()) ? `it ran ${program}` : undefined;
      };
    },
  }),
  defineSignature({
    ...{ name: "encoded-powershell", score: 7, techniques: ["T1059.001", "T1027.010"] },
    title: "It runs a command of PowerShell that is encoded, or in no window",
    see: onCommand(
      /\b(powershell|pwsh)(\.exe)?"? .*[-/](e|ec|en|enc|enco|encod|encode|encoded|encodedc\w*) +[A-Za-z0-9+/=]{8,}/i,
      /\b(powershell|pwsh)(\.exe)?"? .*[-/]w(in\w*)? +(h(idden)?|1)\b/i,
      /\bFromBase64String\(/i,
    ),
  }),
  defineSignature({
    ...{ name: "windows-download", score: 6, techniques: ["T1105", "T1218"] },
    title: "It downloads or runs something by a program of Windows that is not made for it",
    see: onCommand(
      /\bcertutil(\.exe)?"? .*-(urlcache|verifyctl)\b/i,
      /\bbitsadmin(\.exe)?"? .*\/(transfer|addfile)\b/i,
      /\b(DownloadString|DownloadFile|DownloadData|Invoke-WebRequest|Start-BitsTransfer|Net\.WebClient)\b/i,
      /\bmshta(\.exe)?"? +"?(https?|javascript|vbscript):/i,
      /\bregsvr32(\.exe)?"? .*\/i:"?https?:/i,
      /\bmsiexec(\.exe)?"? .*\/i +"?https?:/i,
    ),
  }),
  defineSignature({
    ...{ name: "looks-around-windows", score: 1, techniques: ["T1082", "T1033", "T1016", "T1057"] },
    title: "It asks about this Windows, its users, network and processes",
    see: onAct("process.executed", ({ doer }) =>
      /\\(systeminfo|whoami|ipconfig|tasklist|netstat|nltest|quser|arp|route|hostname|qprocess)\.exe$/i.test(
        doer?.executable ?? "",
      ),
    ),
  }),
];

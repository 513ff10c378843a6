/** Signatures of what hides a program or its traces. */
import { defineSignature, type SeenProcess } from "rebox/lab";
import { getPath, isSystemProgram, listPrograms, onAct, onAny, onCommand, onMany, onWrite } from "./_conditions";

/** Tells whether a path is the program of a process or of one that made it, or the script that it runs. */
function isProgramOf(process: SeenProcess | undefined, path: string): boolean {
  return listPrograms(process).some((one) => {
    const [program = "", script = ""] = one.commandLine?.split(" ") ?? [];
    // What a remover is told to remove is not its script.
    const runsScript = !/(^|\/)(rm|unlink|busybox)$/.test(program);
    const isScript = script === path || (script.startsWith("./") && path.endsWith(script.slice(1)));
    return path !== "" && (one.executable === path || (runsScript && isScript));
  });
}

export const signatures = [
  defineSignature({
    ...{ name: "preload-file", score: 9, techniques: ["T1574.006"] },
    title: "It has its library loaded into every program, by ld.so.preload",
    see: onWrite(/^\/etc\/ld\.so\.preload$/),
  }),
  defineSignature({
    ...{ name: "library-path", score: 6, techniques: ["T1574.006"] },
    title: "It changes where every program finds its libraries",
    see: onWrite(/^\/etc\/ld\.so\.conf(\.d\/.+)?$/),
  }),
  defineSignature({
    ...{ name: "log-removed", score: 7, techniques: ["T1070.002"] },
    title: "It removes logs of the system",
    see: onAct("file.removed", (act) => /^\/var\/log\/.+/.test(getPath(act))),
  }),
  defineSignature({
    ...{ name: "login-records", score: 8, techniques: ["T1070.002"] },
    title: "It changes the records of who logged in",
    see: (act) =>
      isSystemProgram(act.doer, /^(login|sshd\S*|agetty|systemd\S*)$/)
        ? undefined
        : onWrite(/^\/var\/(log|run)\/(wtmp|btmp|lastlog|utmp)$/, /^\/run\/utmp$/)(act),
  }),
  defineSignature({
    ...{ name: "log-overwritten", score: 5, techniques: ["T1070.002"] },
    title: "It writes into logs of the system that are not its own",
    see: (act) =>
      isSystemProgram(act.doer, /^(rsyslogd|systemd-journald|syslogd)$/)
        ? undefined
        : onWrite(/^\/var\/log\/(auth\.log|syslog|secure|messages|kern\.log|audit\/.+|journal\/.+)$/)(act),
  }),
  defineSignature({
    ...{ name: "journal-vacuumed", score: 7, techniques: ["T1070.002"] },
    title: "It has the journal thrown away",
    see: onCommand(/journalctl .*--(vacuum|rotate)/),
  }),
  defineSignature({
    ...{ name: "history-removed", score: 7, techniques: ["T1070.003"] },
    title: "It removes the history of a shell",
    see: onAny(
      onAct("file.removed", (act) => /\/\.\w+_history$/.test(getPath(act))),
      onAct("file.linked", (act) => getPath(act) === "/dev/null" && /_history$/.test(String(act["to"]))),
      onCommand(/\bunset HISTFILE\b|HISTFILE=\/dev\/null|HISTSIZE=0|\bhistory -c\b/),
    ),
  }),
  defineSignature({
    ...{ name: "timestomp", score: 3, techniques: ["T1070.006"] },
    title: "It sets the times of a file to others",
    see: (act) =>
      act.type === "file.times" &&
      !isSystemProgram(act.doer, /^(tar|dpkg|dpkg-deb|apt\S*|rpm|cpio|unzip|rsync|cp|install|git|ar|cc1\S*|make)$/),
  }),
  defineSignature({
    ...{ name: "removes-itself", score: 6, techniques: ["T1070.004"] },
    title: "It removes its own program",
    see: onAct("file.removed", (act) => isProgramOf(act.doer, getPath(act))),
  }),
  defineSignature({
    ...{ name: "hidden-program", score: 5, techniques: ["T1564.001"] },
    title: "It runs a program whose name or folder is hidden",
    see: onAct("process.executed", (act) => /\/\.[^/.][^/]*(\/|$)/.test(act.doer?.executable ?? "")),
  }),
  defineSignature({
    ...{ name: "hidden-file", score: 4, techniques: ["T1564.001"] },
    title: "It makes a hidden file in a folder for temporary files",
    // A repository of git is such a folder.
    see: (act) =>
      isSystemProgram(act.doer, /^git$/) ? undefined : onWrite(/^\/(tmp|var\/tmp|dev\/shm)\/(.*\/)?\.[^/.][^/]*$/)(act),
  }),
  defineSignature({
    ...{ name: "kernel-thread-name", score: 7, techniques: ["T1036.004"] },
    title: "It gives itself the name of a kernel thread or of a part of the system",
    see: onAct("process.renamed", (act) =>
      /^\[?(kworker|kthreadd|ksoftirqd|migration|rcu_\w+|watchdog|kswapd|khugepaged|kauditd|systemd|dbus-daemon|sshd|crond?)\b/.test(
        String(act["name"]),
      ),
    ),
  }),
  defineSignature({
    ...{ name: "bracketed-words", score: 7, techniques: ["T1036.004"] },
    title: "It shows itself in brackets, as kernel threads are shown",
    see: onCommand(/^\[[\w/:.-]+\]/),
  }),
  defineSignature({
    ...{ name: "program-in-memory", score: 8, techniques: ["T1620"] },
    title: "It runs a program that is in no file (memfd)",
    see: onAct("process.executed", (act) =>
      /^(\/memfd:|memfd:|\/proc\/(self|\d+)\/fd\/|\/dev\/fd\/)/.test(act.doer?.executable ?? ""),
    ),
  }),
  defineSignature({
    ...{ name: "file-in-memory", score: 3, techniques: ["T1620"] },
    title: "It makes a file without a path (memfd)",
    see: onAct("process.memfd"),
  }),
  defineSignature({
    ...{ name: "writable-code", score: 3, techniques: ["T1027.002"] },
    title: "It makes memory that is writable and executable at once",
    see: onAct("process.memory"),
  }),
  defineSignature({
    ...{ name: "unpacked-code", score: 3, techniques: ["T1027.002", "T1140"] },
    title: "It executes code that it has written into its memory",
    see: (act) => (act.type === "process.written_code" ? `at ${String(act["entry"])}` : undefined),
  }),
  defineSignature({
    ...{ name: "unpacked-twice", score: 7, techniques: ["T1027.002", "T1140"] },
    title: "It unpacks code that unpacks other code",
    see: (act) =>
      act.type === "process.written_code" && Number(act["layer"]) >= 2
        ? `layer ${String(act["layer"])} at ${String(act["entry"])}`
        : undefined,
  }),
  defineSignature({
    ...{ name: "bind-mount-over-proc", score: 9, techniques: ["T1564.013"] },
    title: "It hides a process by a mount over /proc",
    see: onAct("file.mounted", (act) => /^\/proc\/./.test(getPath(act))),
  }),
  defineSignature({
    ...{ name: "immutable-file", score: 6, techniques: ["T1222.002"] },
    title: "It protects a file from being changed or removed",
    see: onAny(
      onAct("file.attribute", (act) => act["name"] === "flags"),
      onCommand(/(^|\/)chattr .*\+[a-z]*i/),
    ),
  }),
  defineSignature({
    ...{ name: "clock-set", score: 5, techniques: ["T1070.006"] },
    title: "It sets the clock",
    see: (act) =>
      act.type === "kernel.time" && !isSystemProgram(act.doer, /^(systemd-timesyncd|chronyd|ntpd|hwclock)$/),
  }),
  defineSignature({
    ...{ name: "encoded-command", score: 6, techniques: ["T1027.010", "T1140"] },
    title: "It runs a command that is encoded, by base64",
    see: onCommand(
      /base64 (-d|-D|--decode)\b.*\|.*\b(sh|bash|python3?|perl)\b/,
      /\b(b64decode|decode_base64|fromhex)\(/,
    ),
  }),
  defineSignature({
    ...{ name: "mass-removal", score: 4, techniques: ["T1485"] },
    title: "It removes many files",
    watch: onMany(
      200,
      (act) =>
        act.type === "file.removed" && !/^\/(tmp|var\/(tmp|cache|lib\/(apt|dpkg)))\//.test(getPath(act))
          ? getPath(act)
          : undefined,
      "files were removed",
    ),
  }),
];

/** Signatures of what turns off the protection of Windows, or hides there. */
import { defineSignature } from "rebox/lab";
import { onAct, onAny, onCommand } from "./_conditions";
import { onFile, onRemoval, onValue, toKey, toPath } from "./_windows";

const isOn = (text: string): boolean => text === "1";
const isOff = (text: string): boolean => text === "0";

export const signatures = [
  defineSignature({
    ...{ name: "defender-off", score: 8, techniques: ["T1562.001"] },
    title: "It turns Microsoft Defender off, or has it look away",
    see: onAny(
      onValue(
        { key: /\\Microsoft\\Windows Defender(\\[^\\]+)*$/i, name: /^Disable\w+$/i, data: isOn },
        { key: /\\Microsoft\\Windows Defender\\Exclusions\\[^\\]+$/i },
      ),
      onCommand(
        /\b(Set|Add)-MpPreference\b.*-(Disable\w+|Exclusion\w+|MAPSReporting|SubmitSamplesConsent)/i,
        /\b(sc(\.exe)?"? +(stop|delete|config)|net1?(\.exe)?"? +stop) +"?(WinDefend|wscsvc|Sense|WdNisSvc)\b/i,
        /\bMpCmdRun(\.exe)?"? .*-RemoveDefinitions\b/i,
      ),
    ),
  }),
  defineSignature({
    ...{ name: "windows-firewall-off", score: 7, techniques: ["T1562.004"] },
    title: "It opens the firewall of Windows, or ends it",
    see: onAny(
      onValue({ key: /\\FirewallPolicy\\\w+Profile$/i, name: /^EnableFirewall$/i, data: isOff }),
      onCommand(
        /\bnetsh(\.exe)?"? +advfirewall +(set +\w+ +state +off|firewall +add +rule .*action=allow)/i,
        /\bnetsh(\.exe)?"? +firewall +(set +opmode +(mode=)?disable|add +allowedprogram)/i,
        /\bSet-NetFirewallProfile\b.*-Enabled +(False|0)/i,
      ),
    ),
  }),
  defineSignature({
    ...{ name: "event-log-cleared", score: 8, techniques: ["T1070.001"] },
    title: "It empties or removes the event logs of Windows",
    see: onAny(
      onRemoval(/^\\Windows\\System32\\winevt\\Logs\\/i),
      onCommand(/\bwevtutil(\.exe)?"? +(cl|clear-log)\b/i, /\b(Clear|Remove)-EventLog\b/i),
    ),
  }),
  defineSignature({
    ...{ name: "account-control-off", score: 8, techniques: ["T1548.002"] },
    title: "It has programs get all rights without a question (UAC)",
    see: onValue({
      key: /\\CurrentVersion\\Policies\\System$/i,
      name: /^(EnableLUA|ConsentPromptBehaviorAdmin|PromptOnSecureDesktop)$/i,
      data: isOff,
    }),
  }),
  defineSignature({
    ...{ name: "account-control-passed", score: 9, techniques: ["T1548.002"] },
    title: "It has a program with all rights start its own (UAC)",
    see: onValue(
      { key: /^HKU\\Software\\Classes\\(ms-settings|mscfile|exefile|Folder|AppX\w+|Launcher\.SystemSettings)\\shell\\(open|runas)\\command$/i }, // prettier-ignore
      { key: /^HKU\\Environment$/i, name: /^(windir|SystemRoot)$/i },
    ),
  }),
  defineSignature({
    ...{ name: "tools-forbidden", score: 7, techniques: ["T1562.001"] },
    title: "It forbids tools that could find or end it",
    see: onValue(
      { key: /\\CurrentVersion\\Policies\\System$/i, name: /^Disable(TaskMgr|RegistryTools|CMD)$/i, data: (text) => !isOff(text) }, // prettier-ignore
      { key: /\\Policies\\Explorer(\\DisallowRun)?$/i, name: /^(DisallowRun|NoControlPanel|NoFolderOptions|\d+)$/i },
    ),
  }),
  defineSignature({
    ...{ name: "files-out-of-sight", score: 4, techniques: ["T1564.001"] },
    title: "It has hidden files, or the endings of names, shown no longer",
    see: onValue(
      { key: /\\Explorer\\Advanced$/i, name: /^Hidden$/i, data: (text) => text === "2" },
      { key: /\\Explorer\\Advanced$/i, name: /^(ShowSuperHidden)$/i, data: isOff },
      { key: /\\Explorer\\Advanced$/i, name: /^HideFileExt$/i, data: isOn },
    ),
  }),
  defineSignature({
    ...{ name: "windows-hosts-file", score: 5, techniques: ["T1565.001"] },
    title: "It changes which address a name leads to, on Windows",
    see: onFile(/^\\Windows\\System32\\drivers\\etc\\(hosts|lmhosts|networks)$/i),
  }),
  defineSignature({
    ...{ name: "windows-certificate", score: 7, techniques: ["T1553.004"] },
    title: "It makes Windows trust a certificate",
    see: onAny(
      (act) =>
        act.type.startsWith("registry.") &&
        act.type !== "registry.removed" &&
        /\\SystemCertificates\\(AuthRoot|CA|Root|TrustedPublisher)\\Certificates\\/i.test(toKey(String(act["key"]))),
      onCommand(/\bcertutil(\.exe)?"? .*-addstore\b/i, /\bImport-Certificate\b.*\\(Root|AuthRoot|TrustedPublisher)\b/i),
    ),
  }),
  defineSignature({
    ...{ name: "safe-mode", score: 7, techniques: ["T1562.009"] },
    title: "It has Windows start in safe mode, where little protects it",
    see: onCommand(/\bbcdedit(\.exe)?"? .*\bsafeboot(alternateshell)?\b/i),
  }),
  defineSignature({
    ...{ name: "windows-name-elsewhere", score: 7, techniques: ["T1036.005"] },
    title: "It runs a program that has the name of one of Windows, and lies elsewhere",
    see: onAct(
      "process.executed",
      ({ doer }) =>
        /\\(svchost|lsass|csrss|winlogon|wininit|services|smss|explorer|spoolsv|taskhostw?|conhost|dllhost|rundll32|lsm|RuntimeBroker)\.exe$/i.test(
          doer?.executable ?? "",
        ) && !/^\\Windows\\((System32|SysWOW64)\\)?[^\\]+$/i.test(toPath(doer?.executable ?? "")),
    ),
  }),
  defineSignature({
    ...{ name: "two-endings", score: 6, techniques: ["T1036.007"] },
    title: "It runs a program whose name looks like that of a document",
    see: onAct("process.executed", ({ doer }) =>
      /\.(pdf|docx?|xlsx?|pptx?|rtf|txt|jpe?g|png|gif|zip|mp[34]|html?) *\.(exe|scr|com|pif|bat|cmd)$/i.test(
        doer?.executable ?? "",
      ),
    ),
  }),
  defineSignature({
    ...{ name: "windows-removes-itself", score: 6, techniques: ["T1070.004"] },
    title: "It removes its own program on Windows",
    see: onAny(
      (act) =>
        act.type === "file.removed" &&
        toPath(String(act["path"])).includes("\\") &&
        toPath(String(act["path"])).toLowerCase() === toPath(act.doer?.executable ?? "").toLowerCase(),
      onCommand(/\bcmd(\.exe)?"? .*\b(ping|timeout|choice)\b.*(&|&&) *(del|erase)\b/i),
    ),
  }),
];

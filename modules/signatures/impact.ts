/** Signatures of what harms data and the system. */
import { defineSignature } from "rebox/lab";
import { getPath, getWritten, isInstaller, listWritten, onAny, onCommand, onMany, onWrite } from "./_conditions";
import { isSystemFile, isSystemFolder, SymbolicLinks } from "./_places";

/** The endings that encrypted files get most often. */
const SUFFIXES = [".enc", ".encrypted", ".locked", ".crypt", ".crypted", ".lock", ".aes", ".gpg"];

export const signatures = [
  defineSignature({
    ...{ name: "ransom-note", score: 8, techniques: ["T1486"] },
    title: "It writes a note such as those who demand a ransom leave",
    see: onWrite(
      /\/[^/]*(readme|how[ _-]?to|restore|recover|decrypt|ransom)[^/]*(files?|decrypt|restore|recover|ransom)[^/]*\.(txt|html?|md)$/i,
    ),
  }),
  defineSignature({
    ...{ name: "files-get-suffix", score: 9, techniques: ["T1486"] },
    title: "It gives many files a further ending, as those who encrypt do",
    watch: onMany(
      20,
      (act) =>
        act.type === "file.renamed" && String(act["to"]).startsWith(`${getPath(act)}.`) ? getPath(act) : undefined,
      "files have another ending",
    ),
  }),
  defineSignature({
    ...{ name: "files-replaced", score: 9, techniques: ["T1486"] },
    title: "It writes files beside others and removes the others",
    watch: () => {
      const made = new Set<string>();
      const replaced = new Set<string>();
      return (act) => {
        const path = getWritten(act);
        if (path !== undefined) made.add(path);
        if (act.type !== "file.removed" || replaced.size >= 20) return undefined;
        const gone = getPath(act);
        // Compilers and packers write one file for one that they keep.
        if ([...SUFFIXES].some((suffix) => made.has(`${gone}${suffix}`))) replaced.add(gone);
        return replaced.size >= 20 ? "20 files are there only under another name" : undefined;
      };
    },
  }),
  defineSignature({
    ...{ name: "disk-overwritten", score: 10, techniques: ["T1561"] },
    title: "It writes to a disk itself, past its files",
    see: onAny(
      onWrite(/^\/dev\/(sd[a-z]|vd[a-z]|hd[a-z]|nvme\d+n\d+|mmcblk\d+|mem|kmem|port)\w*$/),
      onCommand(/\bdd .*of=\/dev\/(sd|vd|hd|nvme|mmcblk)/, /\b(mkfs(\.\w+)?|wipefs|blkdiscard) .*\/dev\//),
    ),
  }),
  defineSignature({
    ...{ name: "shreds-files", score: 6, techniques: ["T1485"] },
    title: "It overwrites files so that nobody can restore them",
    see: onCommand(/(^|\/)(shred|srm|wipe) /, /\brm (.* )?-\w*r\w* (.* )?\/(\*|home|etc|var|usr|root)?( |$)/),
  }),
  defineSignature({
    ...{ name: "boot-files", score: 8, techniques: ["T1542.003"] },
    title: "It changes what starts the system",
    see: onWrite(/^\/(boot\/.+|etc\/default\/grub|etc\/grub\.d\/.+)$/),
  }),
  defineSignature({
    ...{ name: "system-program-replaced", score: 8, techniques: ["T1554"] },
    title: "It replaces a program of the system",
    watch: () => {
      const links = new SymbolicLinks();
      return (act) => {
        // Other programs lie at their places from then on. What is mounted at the root changes how it is mounted, as unshare(1) does.
        if (act.type === "file.mounted") {
          const place = links.follow(getPath(act), true);
          return isSystemFile(place) || (place !== "/" && isSystemFolder(place))
            ? `it mounted over ${place}`
            : undefined;
        }
        // A folder gets another's place by its name alone; one that is written is the folder that was there.
        const isNamed = act.type === "file.renamed" || act.type === "file.linked";
        const places = listWritten(act).map((path) => links.follow(path));
        links.note(act);
        const place = places.find((path) => isSystemFile(path) || (isNamed && isSystemFolder(path)));
        return place === undefined || isInstaller(act) ? undefined : `it wrote ${place}`;
      };
    },
  }),
  defineSignature({
    ...{ name: "system-goes-down", score: 5, techniques: ["T1529"] },
    title: "It turns the system off, or starts it again",
    see: onCommand(/(^|\/)(reboot|poweroff|halt|shutdown)\b/),
  }),
  defineSignature({
    ...{ name: "data-collected", score: 3, techniques: ["T1560.001"] },
    title: "It packs files of users",
    see: onCommand(/\b(tar|zip|7z|7za|rar) .*(\/home|\/root|\/etc|\.ssh)\b/),
  }),
];

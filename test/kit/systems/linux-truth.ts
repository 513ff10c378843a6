import type { GuestReport } from "../guests/guest-report";

/** Undoes the kernel's escapes of blanks and line ends (seq_escape): a backslash and three octal digits. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/**
 * Where /proc has what a process has as long as one of its threads lives: at the process itself, or, when its first thread has
 * ended, at the first thread that has not.
 */
export function findLivingPath(report: GuestReport, pid: number): string {
  const path = `/proc/${pid}`;
  const tids = report.list(`${path}/task`).sort((a, b) => Number(a) - Number(b));
  const paths = [path, ...tids.map((tid) => `${path}/task/${tid}`)];
  return paths.find((one) => (report.find(`${one}/maps`) ?? "") !== "") ?? path;
}

/** What /proc says about a process, in the words of rebox. */
export function readProcess(report: GuestReport, pid: number) {
  const path = `/proc/${pid}`;
  const stat = readStat(report.text(`${path}/stat`));
  const status = new Map(report.lines(`${path}/status`).map((line) => line.split(":\t") as [string, string]));
  const [uid, euid, suid] = status.get("Uid")!.split("\t").map(Number);
  const [gid, egid, sgid] = status.get("Gid")!.split("\t").map(Number);
  const living = findLivingPath(report, pid);
  const isKernelThread = (BigInt(stat[6]!) & 0x200000n) !== 0n;
  // /proc shows a kernel thread's whole name, which is kept apart from its task_struct; "comm" holds 15 bytes of it.
  const readName = (file: string): string => {
    const name = report.text(file).replace(/\n$/, "");
    return isKernelThread ? name.slice(0, 15) : name;
  };
  return {
    pid,
    tgid: Number(status.get("Tgid")),
    ppid: Number(status.get("PPid")),
    name: readName(`${path}/comm`),
    isKernelThread,
    uid,
    euid,
    suid,
    gid,
    egid,
    sgid,
    commandLine: report.findBytes(`${living}/cmdline`)!.toString("hex"),
    words: readWords(report.text(`${living}/cmdline`)),
    environment: readWords(report.find(`${living}/environ`) ?? ""),
    executable: report.find(`${living}/exe`) ?? "",
    workingFolder: report.find(`${living}/cwd`) ?? "",
    rootFolder: report.find(`${living}/root`) ?? "",
    /** In hundredths of a second since boot. */
    startTime: Number(stat[19]),
    threads: report
      .list(`${path}/task`)
      .map((tid) => `${tid} ${readName(`${path}/task/${tid}/comm`)}`)
      .sort(),
  };
}

/** Words that each end with a zero, but perhaps the last. */
function readWords(text: string): string[] {
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/** Splits what follows the name in /proc/PID/stat; the state comes first, at index 0. */
function readStat(text: string): string[] {
  return text
    .slice(text.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
}

/** The lines of /proc/PID/maps without the columns of the device and the inode. */
export function readMaps(report: GuestReport, pid: number): string[] {
  return (report.find(`${findLivingPath(report, pid)}/maps`) ?? "")
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [, range, permissions, offset, path] = /^(\S+) (\S+) (\S+) \S+ \d+ *(.*)$/s.exec(line)!;
      const [start, end] = range!.split("-").map((text) => BigInt(`0x${text}`).toString(16));
      return `${start}-${end} ${permissions} ${BigInt(`0x${offset}`)} ${unescapeOctal(path!)}`;
    });
}

/** Open files: descriptor, what it leads to, position and flags. */
export function readOpenFiles(report: GuestReport, pid: number): string[] {
  const living = findLivingPath(report, pid);
  return report.list(`${living}/fd`).map((descriptor) => {
    const facts = report.find(`${living}/fdinfo/${descriptor}`) ?? "";
    const position = /^pos:\t(\d+)$/m.exec(facts)?.[1];
    // O_CLOEXEC (02000000) is a property of the descriptor, not of the file, and is shown with the others.
    const flags = (parseInt(/^flags:\t(\d+)$/m.exec(facts)?.[1] ?? "", 8) & ~0o2000000).toString(8);
    return `${descriptor} ${report.text(`${living}/fd/${descriptor}`)} ${position} ${flags}`;
  });
}

/** include/net/tcp_states.h; /proc/net/tcp has no others. */
const TCP_STATES = [
  ...["", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"],
  ...["LAST_ACK", "LISTEN", "CLOSING"],
];
const TYPES = ["", "stream", "datagram", "raw", "", "seqpacket"];
const INTERNET = { tcp: "stream", udp: "datagram", raw: "raw" } as const;
/** __SO_ACCEPTCON, include/linux/net.h */
const IS_LISTENING = 0x10000;

/**
 * All sockets of /proc/net, or of another process' network: inode (0 when no process has it), family, type, then what the
 * family shows.
 */
export function readSockets(report: GuestReport, folder = "/proc/net"): string[] {
  const lines = (name: string): string[][] =>
    (report.find(`${folder}/${name}`) ?? "")
      .split("\n")
      .slice(1, -1)
      .map((line) => line.trim().split(/\s+/));
  const found: string[] = [];
  for (const [protocol, type] of Object.entries(INTERNET)) {
    for (const [name, family] of [
      [protocol, "inet"],
      [`${protocol}6`, "inet6"],
    ] as const) {
      for (const [, local, remote, state, , , , , , inode] of lines(name)) {
        const ends = `${readEndpoint(local!)} ${readEndpoint(remote!)}`;
        found.push(`${inode} ${family} ${type} ${TCP_STATES[parseInt(state!, 16)]} ${ends}`);
      }
    }
  }
  for (const [, , type, protocol, , , , , inode] of lines("packet")) {
    found.push(`${inode} packet ${TYPES[Number(type)]} ${parseInt(protocol!, 16)}`);
  }
  for (const [, protocol, port, , , , , , , inode] of lines("netlink")) {
    found.push(`${inode} netlink ${protocol} ${port}`);
  }
  for (const line of (report.find(`${folder}/unix`) ?? "").split("\n").slice(1, -1)) {
    const [, flags, type, inode, path] = /^\S+ \S+ \S+ (\S+) (\S+) \S+ +(\d+) ?(.*)$/.exec(line)!;
    const state = (parseInt(flags!, 16) & IS_LISTENING) === 0 ? "" : " LISTEN";
    found.push(`${inode} unix ${TYPES[parseInt(type!, 16)]} ${path}${state}`);
  }
  return found.sort();
}

/** Which files tell about a network, by its number: the reporter's own, and those of processes that have another. */
export function networkFolders(report: GuestReport): Map<string, string> {
  const folders = report.list("/proc").flatMap((pid): [string, string][] => {
    const number = /^net:\[(\d+)\]$/.exec(report.find(`/proc/${pid}/ns/net`) ?? "")?.[1];
    if (number === undefined) return [];
    return [[number, report.find(`/proc/${pid}/net/unix`) === undefined ? "/proc/net" : `/proc/${pid}/net`]];
  });
  return new Map(folders);
}

/** Words of 32 bits in the byte order of the guest, and the port. */
function readEndpoint(text: string): string {
  const [address, port] = text.split(":");
  const bytes = Buffer.from(address!, "hex");
  bytes.swap32();
  const groups = Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  const host = bytes.length === 4 ? bytes.join(".") : new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  return `${host}:${parseInt(port!, 16)}`;
}

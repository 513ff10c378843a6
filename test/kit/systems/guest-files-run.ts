import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import Database from "libsql";
import { debugExt4, makeExt4, makeOverlay, writeTree } from "../guests/disk-image";
import type { GuestKit } from "../guests/guest-kits";
import type { GuestReport } from "../guests/guest-report";
import { runGuest, scriptPrelude } from "../guests/guest-run";
import { INVESTIGATE } from "../investigations/investigate-prelude";

/** A text that is in many files, and must never be in a result. */
export const CANARY = "kanarienvogel-7b1c";

/** What the guest does with its disk before it tells what is on it; nothing of it is written back meanwhile. */
const RUN = `
echo 0 > /proc/sys/vm/dirty_writeback_centisecs
echo 360000 > /proc/sys/vm/dirty_expire_centisecs
sync
mkdir /mnt/late
echo "written late, ${CANARY}" > /mnt/late/fresh.txt
head -c 300000 /dev/urandom > /mnt/late/random.bin
rm /mnt/tree/removed.txt
mv /mnt/tree/before.txt /mnt/tree/after.txt
echo "one more line" >> /mnt/tree/grown.txt
chmod 4711 /mnt/tree/setuid
ln /mnt/tree/first.txt /mnt/tree/second.txt
echo in-memory > /tmp/on-tmpfs
cd /mnt
find . > /tmp/names
find . -exec stat -c '%n|%s|%f|%u|%g|%Y|%i|%h' {} + > /tmp/stats
find . -type f -exec sha256sum {} + > /tmp/sums
grep -rl ${CANARY} . > /tmp/canaries
find . -type f -size +4k > /tmp/large
find . -type f -perm -4000 > /tmp/setuids
find . -type f -mtime -5 > /tmp/recent
ls /bin > /tmp/programs
mkdir -p /var/lib
cp -r /mnt/system/var/lib/dpkg /var/lib/
dpkg -l > /tmp/dpkg
cd /
report --stay files.reported /tmp/names /tmp/stats /tmp/sums /tmp/canaries /tmp/large /tmp/setuids /tmp/recent /tmp/programs /tmp/dpkg
`;

/** As dpkg writes it: the fields of each package, installed or not. */
const DPKG_STATUS = [
  ["bash", "install ok installed", "5.2.15-2+b7", "amd64"],
  ["base-files", "install ok installed", "12.4+deb12u5", "amd64"],
  ["adduser", "install ok installed", "3.134", "all"],
  ["half", "install ok unpacked", "1.0", "all"],
  ["gone", "deinstall ok config-files", "2:0.9-1", "amd64"],
]
  .map(([name, status, version, arch]) =>
    [
      ...[`Package: ${name}`, `Status: ${status}`, "Priority: optional", "Section: admin", "Maintainer: Nobody <x@y>"],
      ...[`Architecture: ${arch}`, `Version: ${version}`, `Description: says ${CANARY}`, " Package: none of this", ""],
    ].join("\n"),
  )
  .join("\n");

/** Makes a database as rpm 4.16 and newer have it: a header of big-endian numbers for each package. */
function makeRpmDatabase(path: string): void {
  const database = new Database(path);
  database.exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)");
  const insert = database.prepare("INSERT INTO Packages (blob) VALUES (?)");
  for (const [name, version, release, arch] of [
    ["zlib", "1.3.1", "4.fc40", "x86_64"],
    ["tzdata", "2024a", "5.fc40", "noarch"],
  ]) {
    // RPMTAG_NAME, _VERSION, _RELEASE, _SUMMARY, _ARCH, all of RPM_STRING_TYPE.
    const values = [
      [1000, name],
      [1001, version],
      [1002, release],
      [1004, CANARY],
      [1022, arch],
    ] as const;
    const store = Buffer.from(values.map(([, text]) => `${text}\0`).join(""));
    const head = Buffer.alloc(8 + 16 * values.length);
    head.writeUInt32BE(values.length, 0);
    head.writeUInt32BE(store.length, 4);
    let offset = 0;
    values.forEach(([tag, text], index) => {
      [tag, 6, offset, 1].forEach((number, word) => head.writeUInt32BE(number, 8 + 16 * index + 4 * word));
      offset += text!.length + 1;
    });
    insert.run([Buffer.concat([head, store])]);
  }
  insert.run([Buffer.from("no header at all")]);
  database.close();
}

/** Makes a file system of circles and made-up sizes. */
function makeHostileDisk(image: string, folder: string): void {
  writeTree(folder, { "a/b/file": "x\n", huge: "x\n", fine: "fine\n" });
  makeExt4(image, folder, "8M");
  debugExt4(image, ["ln /a /a/loop", "ln / /a/b/root", "sif /huge size 0x7fffffffffffff00"]);
}

/** Fills a folder with what the guest's disk is made of. */
export function fillTree(folder: string): void {
  writeTree(folder, {
    "run.sh": RUN,
    "tree/first.txt": `hello\n${CANARY}\n`,
    "tree/removed.txt": CANARY,
    "tree/before.txt": "before\n",
    "tree/grown.txt": "a first line\n",
    "tree/setuid": "#!/bin/sh\n",
    "tree/packed.gz": gzipSync(`in a box: ${CANARY}\n`),
    "tree/größe-日本.txt": "ünïcode\n",
    "tree/\x1b[31mred\x07.txt": "escape codes\n",
    "tree/sub/deep/deeper/leaf.txt": `${CANARY} at the end`,
    "tree/big.bin": Buffer.alloc(5_000_000, "0123456789abcdef\n"),
    "tree/empty": "",
    "system/var/lib/dpkg/status": DPKG_STATUS,
    "system/var/lib/dpkg/info/.keep": "",
  });
  mkdirSync(join(folder, "rpm/var/lib/rpm"), { recursive: true });
  makeRpmDatabase(join(folder, "rpm/var/lib/rpm/rpmdb.sqlite"));
  for (let index = 0; index < 300; index++) writeTree(folder, { [`many/file-${index}.dat`]: `number ${index}\n` });
  symlinkSync("first.txt", join(folder, "tree/link"));
  symlinkSync("sub", join(folder, "tree/dirlink"));
  symlinkSync("nowhere", join(folder, "tree/dangling"));
  symlinkSync("loop", join(folder, "tree/loop"));
  symlinkSync(`/${"x".repeat(200)}`, join(folder, "tree/longlink"));
  chmodSync(join(folder, "tree/first.txt"), 0o640);
  utimesSync(join(folder, "tree/first.txt"), 1e9, 1e9);
  // A hole, and a little behind it.
  mkdirSync(join(folder, "sparse"));
  execFileSync("truncate", ["-s", "9M", join(folder, "sparse/holes")]);
  writeFileSync(join(folder, "sparse/holes"), "end", { flag: "a" });
}

/** What a look at a guest's files brought. */
export interface FilesRun {
  // What the script answers is as it is asked.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly found: any;
  readonly report: GuestReport;
  readonly stderr: string;
}

/**
 * Boots a guest with an ext4 disk, and runs the body of an asynchronous function when the guest has told what is on it.
 *
 * @param body what it returns is the run's `found`
 */
export async function lookAtFiles(
  kit: GuestKit,
  body: string,
  { isPartition = false, hasHostileDisks = false } = {},
): Promise<FilesRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-files-"));
  try {
    const [tree, image, answer] = [join(folder, "tree"), join(folder, "disk.img"), join(folder, "answer.json")];
    fillTree(tree);
    makeExt4(image, tree);
    if (isPartition) putIntoPartition(image);
    const others = hasHostileDisks ? makeHostileDisks(folder, image) : [];
    const run = await runGuest({
      task: "disk",
      kit,
      reports: true,
      trust: true,
      parameters: { options: "commit=600", device: isPartition ? "vda2" : "vda" },
      qemuArgs: [
        ...["-drive", `file=${makeOverlay(image)},if=virtio,format=qcow2`],
        ...others.flatMap((path) => ["-drive", `file=${path},if=virtio,format=raw,snapshot=on`]),
      ],
      timeoutMs: 180_000,
      script: (serial) => `
        import { Engine, GuestFile, getFilesystems, getGuest, openGuestPath } from "rebox";
        import { GuestFiles } from "rebox/trusted";
        import { writeFileSync } from "node:fs";
        ${scriptPrelude(serial)}
        ${INVESTIGATE}
        async function look(): Promise<unknown> { ${body} }
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          void untilTruth("files.reported").then(look)
            .then((found) => writeFileSync(${JSON.stringify(answer)}, JSON.stringify(found, (_, value) =>
              typeof value === "bigint" ? String(value) : value)))
            .catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
        }
        export function clean(): void {}
      `,
    });
    const failure = run.messages.join("\n");
    if (failure !== "" || !existsSync(answer)) throw new Error(`${failure}\n${run.stderr}`);
    return { found: JSON.parse(readFileSync(answer, "utf8")), report: run.report, stderr: run.stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes a disk of circles, and a copy of another one whose super block says that it has 2^32 blocks. */
function makeHostileDisks(folder: string, image: string): string[] {
  const [circles, damaged] = [join(folder, "circles.img"), join(folder, "damaged.img")];
  makeHostileDisk(circles, join(folder, "circles"));
  const bytes = readFileSync(image);
  bytes.writeUInt32LE(0xffffffff, 1024 + 4);
  writeFileSync(damaged, bytes);
  return [circles, damaged];
}

/** Makes the image the second partition of a disk with an MBR, which begins after 1 MiB. */
function putIntoPartition(image: string): void {
  const content = readFileSync(image);
  const table = Buffer.alloc(2 * 1024 * 1024);
  const entry = (index: number, type: number, start: number, sectors: number): void => {
    table.writeUInt8(type, 446 + 16 * index + 4);
    table.writeUInt32LE(start, 446 + 16 * index + 8);
    table.writeUInt32LE(sectors, 446 + 16 * index + 12);
  };
  entry(0, 0x83, 2048, 1024);
  entry(1, 0x83, 4096, content.length / 512);
  table.writeUInt16LE(0xaa55, 510);
  writeFileSync(image, Buffer.concat([table, content]));
}

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { attachWindows } from "../../src/systems/windows/attach-windows";
import type { RegistryKey, RegistryValue } from "../../src/systems/windows/registry/registry";
import type { WindowsGuest } from "../../src/systems/windows/windows-guest";
import { saveNtImage } from "../kit/nt/nt-image";
import type { NtTruth } from "../kit/nt/nt-kernel";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

/** Each way of keeping cells: in the kernel's memory by address, by bin, and in that of the process Registry. */
const LAYOUTS = ["windows-7-7601", "windows-8.1-9600", "windows-10-14393", "windows-10-19041", "windows-11-22000"];
const SCRIPT = ["start smss.exe", "hives", "hold"];

for (const layout of LAYOUTS) {
  let guest: WindowsGuest;
  let truth: readonly NtTruth[];
  const of = (event: string): NtTruth[] => truth.filter((one) => one.event === event);
  /** The path of a key, by what the kernel says of it and those above it. */
  const pathOf = (key: NtTruth): string => {
    const parent = of("key").find((one) => one.key === key.parent);
    return parent ? `${pathOf(parent)}\\${key.name as string}` : (key.hive as string);
  };

  before(async () => {
    if (WITHOUT_WINDOWS_TOOLS) return;
    const { image, truth: told, findSymbols } = await saveNtImage({ script: SCRIPT, layout });
    truth = told;
    guest = attachWindows(image, { findSymbols })!;
  });

  test(
    `the hives, keys and values of ${layout} are those that the kernel has made`,
    { skip: WITHOUT_WINDOWS_TOOLS },
    () => {
      assert.deepEqual(
        guest.getHives(),
        of("hive").map(({ root, file, kaddr }) => ({ root, file, kaddr })),
      );
      assert.equal(of("hive").length, 3);
      const keys = of("key");
      assert.equal(keys.length, 114);
      for (const key of keys) {
        const path = pathOf(key);
        // A link is another key; what it is itself, only its parent says.
        if (path.endsWith("\\CurrentControlSet")) continue;
        const found = guest.findRegistryKey(path);
        assert.ok(found, path);
        compareKey(found, key, path);
        const named = keys.filter(({ parent }) => parent === key.key).map(({ name }) => name);
        assert.deepEqual([...found.subkeys].sort(), named.sort(), path);
        const values = of("value").filter((value) => value.key === key.key);
        assert.deepEqual(
          found.values.map(({ name, size }) => [name, BigInt(size)]),
          values.map(({ name, size }) => [name, size]),
          path,
        );
        for (const [index, value] of found.values.entries()) compareValue(value, values[index]!);
      }
    },
  );

  test(
    `values of ${layout} are read by their types, links lead on, names have any case`,
    { skip: WITHOUT_WINDOWS_TOOLS },
    () => {
      const get = (path: string, name: string) => {
        const key = guest.findRegistryKey(path);
        assert.ok(key, path);
        return key.values.find((value) => value.name === name)!;
      };
      const run = "hklm\\software\\MICROSOFT\\windows\\CurrentVersion\\Run";
      assert.equal(get(run, "").data, "the default value");
      assert.deepEqual(get(run, "Several").data, ["one", "two", "three"]);
      assert.deepEqual(
        [get(run, "Schl\u00fcssel").data, get(run, "Schl\u00fcssel").type],
        ["gr\u00fc\u00df", "REG_SZ"],
      );
      assert.equal(get(`${run}\\pr\u00fcfung`, "Zero").data, 0);
      const service = get("HKLM\\SYSTEM\\CurrentControlSet\\Services\\Service90", "Start");
      assert.deepEqual([service.data, service.type], [9, "REG_DWORD"]);
      assert.equal(
        guest.findRegistryKey("HKLM\\SYSTEM\\CurrentControlSet")!.path,
        "\\REGISTRY\\MACHINE\\System\\ControlSet001".replace("System", "SYSTEM"),
      );
      const far = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control";
      assert.equal(get(far, "Wide").data, 0x123456789abcdef0n);
      const large = get(far, "Large").data as Buffer;
      const expected = Buffer.from(Array.from({ length: 40000 }, (_, at) => (at * 7 + Math.floor(at / 256)) & 0xff));
      assert.ok(large.equals(expected));
      assert.equal(get(far, "Odd").type, "4660");
      assert.deepEqual([...guest.findRegistryKey("HKLM")!.subkeys].sort(), ["HARDWARE", "SOFTWARE", "SYSTEM"]);
      for (const missing of ["HKLM\\SYSTEM\\NoSuchKey", "HKLM\\NoSuchHive", "HKU\\S-1-5-18"]) {
        assert.equal(guest.findRegistryKey(missing), undefined, missing);
      }
    },
  );
}

function compareKey(found: RegistryKey, { name, written }: NtTruth, path: string): void {
  assert.deepEqual([found.name, found.path.toUpperCase()], [name, path.toUpperCase()]);
  const ms = Number((BigInt(written as bigint) - 116_444_736_000_000_000n) / 10_000n);
  assert.equal(found.lastWriteTime.getTime(), ms, path);
}

function compareValue({ data, type, name }: RegistryValue, told: NtTruth): void {
  const bytes = Buffer.from(told.data as string, "hex");
  if (type === "REG_DWORD") assert.equal(data, bytes.readUInt32LE(0), name);
  else if (type === "REG_QWORD") assert.equal(data, bytes.readBigUInt64LE(0), name);
  else if (Buffer.isBuffer(data)) {
    assert.equal(BigInt(data.length), told.size, name);
    const sum = data.reduce((all, byte) => (Math.imul(all, 31) + byte) >>> 0, 0);
    assert.deepEqual([BigInt(sum), data.subarray(0, 32)], [told.sum, bytes], name);
  } else {
    const text = typeof data === "string" ? data : (data as readonly string[]).join("\0");
    assert.equal(bytes.toString("utf16le").replace(/\0*$/, ""), text.slice(0, 16).replace(/\0*$/, ""), name);
  }
}

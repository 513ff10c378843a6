import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordingError } from "../../src/machine/errors";
import { planMachine } from "../../src/machine/recording/recorded-machine";

const plan = (args: readonly string[], isReplay = false, console?: string) =>
  planMachine(args, { cwd: "/images", log: "/rec/a,b/log", isReplay, ...(console === undefined ? {} : { console }) });

test("a machine is recorded with counted instructions, a recorder, drives over overlays and filtered networks", () => {
  const { args, disks, files } = plan([
    ...[
      "-m",
      "256",
      "-kernel",
      "vmlinuz",
      "-drive",
      "file=a,,b.img,format=raw,if=virtio,cache=none",
      "-cdrom",
      "cd.iso",
    ],
    ...["-nic", "user,model=virtio,hostfwd=tcp::2222-:22", "-serial", "stdio"],
  ]);
  assert.deepEqual(args, [
    ...["-m", "256", "-kernel", "/images/vmlinuz"],
    ...["-drive", "if=virtio,driver=blkreplay,node-name=rebox-disk-0,image=rebox-disk-0-image"],
    ...["-drive", "index=2,media=cdrom,driver=blkreplay,node-name=rebox-disk-1,image=rebox-disk-1-image,readonly=on"],
    ...["-nic", "user,hostfwd=tcp::2222-:22,id=rebox-net-0,model=virtio"],
    ...["-object", "filter-replay,id=rebox-replay-0,netdev=rebox-net-0", "-serial", "stdio"],
    ...["-icount", "shift=4,rr=record,rrfile=/rec/a,,b/log"],
  ]);
  assert.deepEqual(
    disks.map(({ path, format, isReadOnly }) => [path, format, isReadOnly]),
    [
      ["/images/a,b.img", "raw", false],
      ["/images/cd.iso", undefined, true],
    ],
  );
  assert.deepEqual(files, [{ role: "-kernel", path: "/images/vmlinuz" }]);
});

test("a replay opens nothing of the host: no port, no file, no socket", () => {
  const { args } = plan(
    [
      ...["-netdev", "user,id=n,hostfwd=tcp::2222-:22", "-device", "e1000,netdev=n", "-serial", "file:out.txt"],
      ...[
        "-serial",
        "unix:/tmp/s,server=on",
        "-monitor",
        "unix:/tmp/m,server=on",
        "-qmp",
        "tcp:localhost:4444,server=on",
      ],
      ...["-vnc", ":1", "-debugcon", "file:debug.txt", "-icount", "7"],
    ],
    true,
    "/out/console",
  );
  assert.deepEqual(args, [
    ...["-netdev", "user,restrict=on,id=n", "-object", "filter-replay,id=rebox-replay-0,netdev=n"],
    ...["-device", "e1000,netdev=n", "-serial", "file:/out/console", "-serial", "null", "-monitor", "none"],
    ...["-display", "none", "-debugcon", "null", "-icount", "shift=7,rr=replay,rrfile=/rec/a,,b/log"],
  ]);
});

test("a machine without a word about networks has QEMU's own one, recorded; none is none", () => {
  assert.match(plan(["-m", "64"]).args.join(" "), /-nic user,id=rebox-net-0 -object filter-replay,/);
  for (const none of ["-nic", "-net"])
    assert.match(plan([none, "none"]).args.join(" "), new RegExp(`^${none} none -icount`));
  assert.doesNotMatch(plan(["-nodefaults"]).args.join(" "), /-nic/);
});

test("a network of a lab is recorded, and a replay has another one that is the same to the guest", () => {
  // QEMU refuses to be told of a device that somebody has opened for it.
  const told = { "hubport,hubid=0": "hubport,hubid=0", "tap,fd=3,vnet_hdr=off": "tap,fd=3", "tap,ifname=t,vnet_hdr=off": "tap,ifname=t,vnet_hdr=off" }; // prettier-ignore
  for (const [network, own] of Object.entries(told)) {
    const recorded = plan(["-netdev", `${network},id=n`]).args.join(" ");
    assert.match(recorded, new RegExp(`^-netdev ${own},id=n -object filter-replay,`));
    const replayed = planMachine(["-netdev", `${network},id=n`, "-pidfile", "pid"], {
      cwd: "/",
      log: "/l",
      isReplay: true,
    });
    assert.match(replayed.args.join(" "), /^-netdev user,restrict=on,id=n -object filter-replay,/);
    assert.ok(!replayed.args.includes("-pidfile"));
  }
});

test("what cannot be recorded is refused by name, with the reason", () => {
  const refused: Readonly<Record<string, RegExp>> = {
    "-smp 2": /^-smp 2 cannot be recorded: QEMU records machines with one vCPU/,
    "-smp cores=2,cpus=2": /one vCPU/,
    "-icount shift=4,sleep=off": /sleep=off .*waits for it for ever: leave sleep=off out$/,
    "-icount 4,rr=record": /rr is set by rebox/,
    "-snapshot": /disks are not written anyway/,
    "-rtc base=localtime": /time zone .* base=utc$/,
    "-loadvm x": /^the option -loadvm cannot be recorded/,
    "-incoming file:x": /^the option -incoming cannot be recorded/,
    "-blockdev driver=null-co": /^the option -blockdev cannot be recorded/,
    "disk.img": /^"disk.img", which belongs to no option, cannot be recorded/,
    "-device virtserialport,chardev=a": /virtserialport: .*not in QEMU's log/,
    "-device driver=vhost-vsock-pci": /shares memory with the host/,
    '-device {"driver":"usb-host"}': /usb-host: /,
    "-drive file=nbd:localhost:10809": /is no file/,
    "-drive file=a.img,if=floppy": /if=floppy while the guest waits/,
    "-drive file=a.fd,if=pflash": /add readonly=on/,
    "-drive file=a.img,throttling.iops-total=1": /does not know its throttling/,
    "-nic tap": /of tap .* add vnet_hdr=off$/,
    "-nic bridge": /of bridge .* use user$/,
    "-netdev user": /it has no id/,
    "-serial /dev/ttyS0": /device of the host/,
    "-fw_cfg name=opt/a,file=b": /is not kept with the recording/,
  };
  for (const [words, message] of Object.entries(refused)) {
    assert.throws(
      () => plan(words.split(" ")),
      (error) => error instanceof RecordingError && message.test(error.message),
      words,
    );
  }
});

test("a replay that answers a question has standard output for that alone", () => {
  const words = ["-serial", "stdio", "-chardev", "stdio,id=c", "-debugcon", "chardev:c"];
  const { args } = planMachine(words, { cwd: "/", log: "/log", isReplay: true, isMute: true });
  assert.deepEqual(args.slice(0, 6), ["-serial", "null", "-chardev", "null,id=c", "-debugcon", "chardev:c"]);
});

test("a mute replay of a machine with -nographic keeps its devices, and QEMU puts neither console nor monitor on standard output", () => {
  const added = (words: readonly string[], more: { readonly isMute?: boolean; readonly console?: string }) => {
    const given = [...words, "-nic", "none"];
    const { args } = planMachine(given, { cwd: "/", log: "/log", isReplay: true, ...more });
    assert.ok(args.includes("-nographic"), "the guest reads it from its firmware's configuration");
    return args.slice(given.length, -2);
  };
  const [mute, alone] = [{ isMute: true }, ["-monitor", "none"]];
  assert.deepEqual(added(["-nographic"], mute), ["-serial", "null", ...alone]);
  assert.deepEqual(added(["-nographic", "-serial", "stdio"], mute), alone);
  assert.deepEqual(added(["-nographic", "-monitor", "stdio"], mute), ["-serial", "null"]);
  assert.deepEqual(added(["-nographic", "-nodefaults"], mute), []);
  assert.deepEqual(added(["-nographic", "-global", "isa-serial.index=0"], mute), alone);
  assert.deepEqual(added(["-nographic"], { console: "/c" }), ["-serial", "file:/c", ...alone]);
  assert.deepEqual(added(["-nographic"], {}), []);
  assert.doesNotMatch(plan(["-nographic"]).args.join(" "), /-serial|-monitor/);
});

test("a port to which nobody is connected is recorded, and a number of a clone that is another one in each replay is refused", () => {
  const port = ["-device", "virtserialport,bus=b.0,chardev=c,name=n"];
  const { args } = plan([
    "-chardev",
    "null,id=c",
    "-device",
    "virtio-serial,id=b",
    ...port,
    "-device",
    "vmgenid,guid=1-2",
  ]);
  assert.ok(args.includes(port[1]!));
  const refuse = (words: readonly string[], reason: RegExp) =>
    assert.throws(
      () => plan(words),
      (error) => error instanceof RecordingError && reason.test(error.message),
    );
  refuse(
    ["-chardev", "socket,id=c,path=/s", "-device", "virtio-serial,id=b", ...port],
    /other end is opened and closed/,
  );
  refuse(["-device", "vmgenid,guid=auto"], /another one in each replay/);
  refuse(["-device", "vmgenid"], /give it one: guid=UUID/);
});

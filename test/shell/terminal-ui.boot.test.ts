import assert from "node:assert/strict";
import { test } from "node:test";
import type { TmuxTerminal } from "../kit/terminal/tmux-terminal";
import type { ShownGuest } from "../kit/terminal/ui-screen-reader";
import { UiRun } from "../kit/terminal/ui-run";

type Row = Record<string, string>;

/** Waits until the panes show the guest where it stands now. */
async function readPanes(run: UiRun, terminal: TmuxTerminal = run.terminal): Promise<ShownGuest> {
  const rows = await terminal.until("the place where the guest stands", async (screen, shown) => {
    if (!/rebox: paused/.test(screen) || screen.includes("sampled") || screen.includes("waits for")) return false;
    const { registers, code } = terminal.read(shown);
    const rip = (await run.monitorRegisters()).get("RIP");
    return registers.get("RIP") === rip && code.some(({ address, isCurrent }) => isCurrent && address === rip);
  });
  return terminal.read(rows);
}

/** Lets the guest's shell read a line, and waits until a breakpoint in that has paused the guest. */
async function stopAtRead(run: UiRun): Promise<void> {
  await run.untilGuestPrompt();
  await run.terminal.until("a process", (screen) => /running \| vCPU 0 \| sh:/.test(screen));
  await run.terminal.enter("bp kernel!ksys_read once");
  await run.terminal.until("the breakpoint", (screen) => /breakpoint \d+ at 0x/.test(screen));
  run.client.sendToConsole("ls\r");
  await run.untilState("paused");
}

test("startShell() in a callback holds the guest for the UI, until a command lets it go", async () => {
  const script = `
    import { ALL_PROCESSES, waitForGuest } from "rebox";
    import { BP, startShell } from "rebox/trusted";
    export function initialize_callbacks(_: number, print: (text: string) => void): void {
      void waitForGuest().then(() => {
        new BP("kernel!ksys_read", ALL_PROCESSES, {
          isOneShot: true,
          func: async () => {
            print("held");
            await startShell();
            print("let go");
          },
        });
      });
    }
    export const clean = (): void => {};
  `;
  await UiRun.with({ columns: 200, rows: 60, script }, async (run) => {
    const { terminal } = run;
    const rows = await terminal.until("the hold", (screen) => {
      return screen.startsWith("rebox: held by a callback") && screen.includes("=>") && !screen.includes("sampled");
    });
    const [{ address }] = await run.data<[Row]>("ln kernel!ksys_read");
    assert.equal(terminal.read(rows).registers.get("RIP"), BigInt(address!));
    assert.equal(terminal.read(rows).code.find(({ isCurrent }) => isCurrent)?.address, BigInt(address!));
    assert.equal(rows.join("\n").includes("let go"), false);
    await terminal.press("F11");
    await terminal.until(
      "the step",
      (screen) => screen.includes("[script] let go") && screen.startsWith("rebox: paused"),
    );
    const next = (await run.monitorRegisters()).get("RIP")!;
    assert.ok(next > BigInt(address!) && next <= BigInt(address!) + 15n);
    await terminal.press("F5");
    await run.untilGuestPrompt();
  });
});

test("at a breakpoint the panes show what QEMU's own monitor says, and a step marks what it has changed", async () => {
  await UiRun.with({ columns: 110, rows: 44 }, async (run) => {
    await stopAtRead(run);
    const [{ address }] = await run.data<[Row]>("ln kernel!ksys_read");
    const first = await readPanes(run);
    const monitor = await run.monitorRegisters();
    assert.equal(first.registers.get("RIP"), BigInt(address!));
    const compared = [...first.registers.keys()].filter((name) => monitor.has(name));
    assert.ok(compared.length >= 17, compared.join());
    for (const name of compared) assert.equal(first.registers.get(name), monitor.get(name), name);

    const code = first.code.slice(first.code.findIndex(({ isCurrent }) => isCurrent));
    const listing = await run.data<string>(`hmp x /${code.length}i 0x${first.registers.get("RIP")!.toString(16)}`);
    // Bytes that find no room in a line are in the next one, without an instruction.
    const lines = [...listing.matchAll(/^0x([0-9a-f]+): {2}(.{2,23}) ?(.*?)\r?$/gm)].filter(
      ([, , , text]) => text !== "",
    );
    const places = lines.map(([, at]) => BigInt(`0x${at}`));
    assert.ok(code.length >= 5);
    assert.deepEqual(
      code.map((row) => row.address),
      places,
    );
    const words = await run.data<string>(`hmp x /${first.stack.length}gx 0x${monitor.get("RSP")!.toString(16)}`);
    assert.ok(first.stack.length >= 5);
    assert.deepEqual(
      first.stack.map(({ value }) => value),
      [...words.matchAll(/ 0x([0-9a-f]{16})/g)].map(([, value]) => BigInt(`0x${value}`)),
    );
    assert.match(first.stack[0]!.name, /^kernel!do_syscall_64\+0x/);
    const [line] = first.memory;
    const bytes = await run.data<string>(`hmp x /${line!.bytes.length}bx 0x${line!.address.toString(16)}`);
    assert.equal(line!.address, monitor.get("RIP"));
    assert.deepEqual(
      line!.bytes,
      [...bytes.matchAll(/ 0x([0-9a-f]{2})\b/g)].map(([, value]) => Number.parseInt(value!, 16)),
    );

    let before = first;
    for (let step = 0; step < 4; step++) {
      const rip = before.registers.get("RIP");
      await run.terminal.press("F11");
      await run.terminal.until("a step", (_, rows) => run.terminal.read(rows).registers.get("RIP") !== rip);
      const after = await readPanes(run);
      assert.equal(after.registers.get("RIP"), code[step + 1]!.address);
      assert.deepEqual(
        after.changed,
        [...after.registers.keys()].filter((name) => after.registers.get(name) !== before.registers.get(name)),
      );
      before = after;
    }
    assert.ok(before.stack.some(({ isChanged }) => isChanged) || before.changed.includes("RSP"));
    await run.terminal.press("F12");
    const returned = first.stack[0]!.value;
    await run.terminal.until("the caller", (_, rows) => run.terminal.read(rows).registers.get("RIP") === returned);
    assert.equal((await run.monitorRegisters()).get("RIP"), returned);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunFeed } from "./run-feed";

const ID = "rebox-console";
/** QEMU's arguments that decide themselves what serial lines there are. */
const OWN_SERIAL = /^(--?(serial|nodefaults)$|(isa|pci|usb)-serial|virtconsole|virtserialport)/;

/** The machine's first serial line, which comes to this process: guests have their console there. */
export class SerialConsole {
  #socket: Socket | undefined;

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
    /** The arguments that QEMU needs for it. */
    readonly qemuArgs: readonly string[],
  ) {}

  /**
   * Offers a machine a serial line; QEMU connects to it while it starts.
   *
   * @param qemuArgs the machine's arguments
   * @param feed takes the guest's output, and gives the typed text
   * @returns undefined when the arguments already place the serial lines
   */
  static async offer(qemuArgs: readonly string[], feed: RunFeed): Promise<SerialConsole | undefined> {
    if (qemuArgs.some((argument) => OWN_SERIAL.test(argument))) return undefined;
    // A folder of the user's own: nobody else may connect in QEMU's place.
    const folder = mkdtempSync(join(tmpdir(), "rebox-console-"));
    const path = join(folder, "serial");
    const server = createServer();
    const args = ["-chardev", `socket,id=${ID},path=${path.replaceAll(",", ",,")}`, "-serial", `chardev:${ID}`];
    const isNographic = qemuArgs.some((argument) => /^--?nographic$/.test(argument));
    // There QEMU puts its monitor on the terminal too.
    if (isNographic && !qemuArgs.some((argument) => /^--?(monitor|mon|qmp)$/.test(argument))) {
      args.push("-monitor", "none");
    }
    const console = new SerialConsole(server, folder, args);
    server.on("connection", (socket) => console.#serve(socket, feed));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
    feed.sendToConsole = (text) => console.#socket?.write(text);
    return console;
  }

  /** Ends the line, for QEMU as if it had been hung up. */
  close(): void {
    this.server.close();
    this.#socket?.destroy();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #serve(socket: Socket, feed: RunFeed): void {
    this.#socket = socket;
    // Nobody else is wanted.
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
    // QEMU goes at its end.
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => feed.addConsole(bytes));
  }
}

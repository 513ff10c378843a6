/** A part of a page that shows a machine as it is now. */
export interface Shown {
  /** Gives the keyboard to the machine. */
  focus(): void;
  /** Gives it back to the page. */
  blur(): void;
  close(): void;
}

/** Shows what comes from a socket in a place of the page. @param mayType whether keys go to the machine */
export type Show = (place: HTMLElement, socket: WebSocket, mayType: boolean) => Promise<Shown>;

const ENDED_NORMALLY = 1000;

/** Connects a part of the page with its machine: at once, or when it is opened, and anew when somebody takes over the keyboard. */
export class LiveView {
  #shown: Shown | undefined;
  #socket: WebSocket | undefined;
  #mayType = false;
  #phase: string | undefined;
  readonly #place: HTMLElement;
  readonly #status: HTMLElement;
  readonly #button: HTMLElement | null;

  constructor(
    private readonly part: HTMLElement,
    private readonly show: Show,
  ) {
    this.#place = part.querySelector<HTMLElement>("[data-view]")!;
    this.#status = part.querySelector<HTMLElement>("[data-status]")!;
    this.#button = part.querySelector<HTMLElement>("[data-take]");
    this.#button?.addEventListener("click", () => this.#connect(!this.#mayType));
    part.addEventListener("toggle", () => this.#update());
    // A machine takes all other keys.
    part.addEventListener("keydown", (event) => this.#giveBack(event), true);
    if (part.dataset["phases"] === "") this.setPhase("");
  }

  /** Tells it how far the analysis has come. */
  setPhase(phase: string): void {
    this.#phase = phase;
    this.#update();
  }

  #update(): void {
    const isOpen = !(this.part instanceof HTMLDetailsElement) || this.part.open;
    const isOn = this.#phase !== undefined && this.part.dataset["phases"]!.split(",").includes(this.#phase);
    if (!isOpen) this.#disconnect();
    else if (isOn && this.#socket === undefined) this.#connect(false);
  }

  #connect(mayType: boolean): void {
    this.#disconnect();
    this.#mayType = mayType;
    this.#button?.setAttribute("aria-pressed", String(mayType));
    const url = new URL(this.part.dataset["place"]!, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (mayType) url.searchParams.set("control", "yes");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket !== socket) return;
      this.#disconnect();
      this.#say(reason === "" ? "The connection has ended." : `${reason[0]!.toUpperCase()}${reason.slice(1)}.`, code !== ENDED_NORMALLY); // prettier-ignore
      if (mayType && code !== ENDED_NORMALLY) this.#button?.setAttribute("aria-pressed", "false");
    });
    socket.addEventListener("open", () => {
      if (this.#socket !== socket) return;
      this.#place.hidden = false;
      this.#say(mayType ? "Your keys go to the machine. Ctrl+Alt+G gives the keyboard back to this page." : "Live.");
      if (mayType) this.#shown?.focus();
    });
    void this.show(this.#place, socket, mayType).then((shown) => {
      if (this.#socket !== socket) return shown.close();
      this.#shown = shown;
      // What is hidden gets no focus: it may have been opened before, or is later.
      if (mayType && !this.#place.hidden) shown.focus();
    });
  }

  #disconnect(): void {
    const [shown, socket] = [this.#shown, this.#socket];
    this.#shown = this.#socket = undefined;
    this.#mayType = false;
    this.#place.hidden = true;
    this.#button?.setAttribute("aria-pressed", "false");
    shown?.close();
    if (socket !== undefined && socket.readyState < WebSocket.CLOSING) socket.close(ENDED_NORMALLY);
    this.#place.replaceChildren();
  }

  #giveBack(event: KeyboardEvent): void {
    if (!event.ctrlKey || !event.altKey || event.code !== "KeyG") return;
    event.preventDefault();
    event.stopPropagation();
    this.#shown?.blur();
    this.#button?.focus();
  }

  #say(text: string, isBad = false): void {
    this.#status.textContent = text;
    this.#status.className = isBad ? "notice bad" : "hint";
  }
}

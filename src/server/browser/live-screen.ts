import RFB from "@novnc/novnc";
import type { Shown } from "./live-view";

/** Shows a machine's screen. Its clipboard stays its own: the server passes none on, in either direction that a page has. */
export async function showScreen(place: HTMLElement, socket: WebSocket, mayType: boolean): Promise<Shown> {
  const screen = new RFB(place, socket, { shared: true });
  screen.viewOnly = !mayType;
  screen.scaleViewport = true;
  screen.background = "";
  return { focus: () => screen.focus(), blur: () => screen.blur(), close: () => screen.disconnect() };
}

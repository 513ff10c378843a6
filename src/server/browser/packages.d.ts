/** noVNC has no types of its own; its package has a description of its API. */
declare module "@novnc/novnc" {
  export default class RFB extends EventTarget {
    /** @param channel a socket that need not be open yet */
    constructor(target: HTMLElement, channel: WebSocket, options?: { readonly shared?: boolean });
    viewOnly: boolean;
    scaleViewport: boolean;
    background: string;
    focus(): void;
    blur(): void;
    disconnect(): void;
  }
}

/** Styles come as text. */
declare module "*.css" {
  const text: string;
  export default text;
}

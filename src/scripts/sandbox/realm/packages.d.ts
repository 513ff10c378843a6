declare module "path-browserify" {
  export function join(...parts: string[]): string;
}

declare module "events/" {
  export class EventEmitter {
    on(event: string, listener: (...args: never[]) => void): this;
    emit(event: string, ...args: unknown[]): boolean;
  }
}

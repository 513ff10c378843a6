declare module "path-browserify" {
  const path: object;
  export = path;
}

declare module "events/" {
  export class EventEmitter {
    on(event: string, listener: (...args: never[]) => void): this;
    emit(event: string, ...args: unknown[]): boolean;
  }
}

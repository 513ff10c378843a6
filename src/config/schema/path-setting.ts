import { accessSync, constants, statSync, type Stats } from "node:fs";
import { resolve } from "node:path";
import type { ConfigNode } from "./config-node";
import { Setting, type ReadScope, type SettingOptions } from "./setting";
import { SettingError } from "./setting-error";
import { quoteWhereNeeded } from "./text-settings";

export interface PathOptions extends SettingOptions<string> {
  /** Implied by the other three. */
  readonly mustExist?: boolean;
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly executable?: boolean;
}

interface PathKind {
  readonly name: string;
  fits(stats: Stats): boolean;
}

export const PATH_KINDS = {
  file: { name: "file", fits: (stats) => stats.isFile() },
  folder: { name: "folder", fits: (stats) => stats.isDirectory() },
  socket: { name: "unix socket", fits: (stats) => stats.isSocket() },
} satisfies Record<string, PathKind>;

const RIGHTS = [
  { option: "readable", mode: constants.R_OK, flag: "r" },
  { option: "writable", mode: constants.W_OK, flag: "w" },
  { option: "executable", mode: constants.X_OK, flag: "x" },
] as const;

/** A path, made absolute. Each right that is asked for is checked by itself. */
export class PathSetting extends Setting<string> {
  constructor(
    private readonly kind: PathKind,
    private readonly own: PathOptions,
  ) {
    super(own);
  }

  get accepted(): string {
    return `the path of a ${this.kind.name}`;
  }

  read(node: ConfigNode, scope: ReadScope): string {
    const text = this.getText(node);
    if (text.includes("\n") || text.includes("\0")) throw this.refuse(node);
    const path = resolve(scope.folder, text);
    if (scope.checksSystem) this.#check(path, node);
    return path;
  }

  override write(value: string): string {
    return quoteWhereNeeded(value);
  }

  #check(path: string, node: ConfigNode): void {
    const { kind, own } = this;
    const isNeeded = own.mustExist || own.readable || own.writable || own.executable;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) {
      if (!isNeeded) return;
      throw new SettingError(`is ${JSON.stringify(path)}, but there is no such ${kind.name}`, node.place);
    }
    if (!kind.fits(stats)) throw new SettingError(`is ${JSON.stringify(path)}, which is no ${kind.name}`, node.place);
    for (const { option, mode, flag } of RIGHTS) {
      if (!own[option]) continue;
      try {
        accessSync(path, mode);
      } catch {
        throw new SettingError(
          `is ${JSON.stringify(path)}, which is not ${option} for this user; see ls -ld, or chmod +${flag}`,
          node.place,
        );
      }
    }
  }
}

/** Where symbols are looked for, in this order: folders first, then servers. */
export interface SymbolPath {
  readonly folders: readonly string[];
  /** Addresses that begin with http:// or https://, without a slash at their end. */
  readonly servers: readonly string[];
}

/**
 * Parses a symbol path as Microsoft's debuggers do: parts with semicolons between them, each a folder, `srv*PLACE*PLACE...`,
 * `symsrv*DLL*PLACE*...` or `cache*FOLDER`; a place is a folder or the address of a server. All folders are looked through;
 * what is fetched goes to rebox's own folder, whatever the path names as a cache.
 */
export function parseSymbolPath(text: string): SymbolPath {
  const places = text.split(";").flatMap((part) => {
    const words = part.trim().split("*");
    const kind = words.length > 1 ? (words[0] as string).toLowerCase() : "";
    if (kind === "symsrv") return words.slice(2);
    return kind === "srv" || kind === "cache" ? words.slice(1) : [part.trim()];
  });
  const named = [...new Set(places.filter((place) => place !== ""))];
  const isServer = (place: string): boolean => /^https?:\/\//i.test(place);
  return {
    folders: named.filter((place) => !isServer(place)),
    servers: named.filter(isServer).map((place) => place.replace(/\/+$/, "")),
  };
}

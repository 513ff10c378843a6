/** Writes texts in the encodings that programs have; for memory_search. */

/** Of one byte for each character: the characters of the bytes from `first` on; those below are ASCII. U+FFFD stands for none. */
interface CharacterSet {
  readonly first: number;
  readonly characters: string;
}

// prettier-ignore
const SETS: ReadonlyMap<string, CharacterSet> = new Map([
  ["windows-1252", {
    first: 128,
    characters:
    "€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ\u00a0¡¢£¤¥¦§¨©ª«¬\u00ad®¯°±²³´µ¶·¸¹º»¼" +
    "½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
  }],
  ["windows-1251", {
    first: 128,
    characters:
    "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\ufffd™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕїАБВГДЕЖЗИЙКЛМНОПР" +
    "СТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя",
  }],
  ["koi8-r", {
    first: 128,
    characters:
    "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u00a0⌡°²·÷═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©юабцдефгхийклмнопярстужвьыз" +
    "шэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
  }],
  ["ibm437", {
    first: 128,
    characters:
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0",
  }],
  ["ebcdic", {
    first: 0,
    characters:
    "\u0000\u0001\u0002\u0003\u009c\u0009\u0086\u007f\u0097\u008d\u008e\u000b\u000c\u000d\u000e\u000f" +
    "\u0010\u0011\u0012\u0013\u009d\u0085\u0008\u0087\u0018\u0019\u0092\u008f\u001c\u001d\u001e\u001f" +
    "\u0080\u0081\u0082\u0083\u0084\u000a\u0017\u001b\u0088\u0089\u008a\u008b\u008c\u0005\u0006\u0007" +
    "\u0090\u0091\u0016\u0093\u0094\u0095\u0096\u0004\u0098\u0099\u009a\u009b\u0014\u0015\u009e\u001a" +
    " \u00a0âäàáãåçñ¢.<(+|&éêëèíîïìß!$*);¬-/ÂÄÀÁÃÅÇÑ¦,%_>?øÉÊËÈÍÎÏÌ`:#@'=\"Øabcdefghi«»ðýþ±°jklmnopqr" +
    "ªºæ¸Æ¤µ~stuvwxyz¡¿ÐÝÞ®^£¥·©§¶¼½¾[]¯¨´×{ABCDEFGHI\u00adôöòóõ}JKLMNOPQR¹ûüùúÿ\\÷STUVWXYZ²ÔÖÒÓÕ0123" +
    "456789³ÛÜÙÚ\u009f",
  }],
]);

const UNITS: Readonly<Record<string, { readonly size: 2 | 4; readonly isLittle: boolean }>> = {
  "utf-16le": { size: 2, isLittle: true },
  "utf-16be": { size: 2, isLittle: false },
  "utf-32le": { size: 4, isLittle: true },
  "utf-32be": { size: 4, isLittle: false },
};

/** The names of all encodings. */
export const ENCODINGS: readonly string[] = ["utf-8", ...Object.keys(UNITS), "latin1", ...SETS.keys()];

/**
 * Writes a text in an encoding.
 *
 * @returns undefined when the encoding has no such characters
 * @throws Error when the encoding is not known
 */
export function encodeText(text: string, encoding: string): Uint8Array | undefined {
  if (encoding === "utf-8") return new TextEncoder().encode(text);
  const unit = UNITS[encoding];
  if (unit !== undefined) return encodeUnits(text, unit.size, unit.isLittle);
  if (encoding === "latin1") {
    const codes = [...text].map((character) => character.codePointAt(0)!);
    return codes.every((code) => code <= 0xff) ? Uint8Array.from(codes) : undefined;
  }
  const set = SETS.get(encoding);
  if (set === undefined) throw new Error(`the encoding ${encoding} is not known: ${ENCODINGS.join(", ")}`);
  const bytes = [...text].map((character) => findByte(set, character));
  return bytes.includes(-1) ? undefined : Uint8Array.from(bytes);
}

function findByte({ first, characters }: CharacterSet, character: string): number {
  const code = character.codePointAt(0)!;
  if (code < first) return code;
  const at = character === "\ufffd" ? -1 : characters.indexOf(character);
  return at < 0 ? -1 : first + at;
}

function encodeUnits(text: string, size: 2 | 4, isLittle: boolean): Uint8Array {
  const units =
    size === 4 ? [...text].map((one) => one.codePointAt(0)!) : text.split("").map((one) => one.charCodeAt(0));
  const view = new DataView(new ArrayBuffer(units.length * size));
  units.forEach((unit, index) =>
    size === 2 ? view.setUint16(index * 2, unit, isLittle) : view.setUint32(index * 4, unit, isLittle),
  );
  return new Uint8Array(view.buffer);
}

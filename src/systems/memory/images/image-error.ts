/** A file is no memory image that rebox can read, is damaged, or could not be written. */
export class ImageError extends Error {
  override readonly name = "ImageError";
}

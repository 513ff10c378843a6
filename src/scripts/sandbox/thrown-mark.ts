/** Begins the text that a callback in the sandbox throws in place of an error, whose description follows. */
export const THROWN_MARK = "\u0000rebox-thrown:";

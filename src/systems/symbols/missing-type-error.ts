/** A struct or a member that was asked for does not exist in this kernel. */
export class MissingTypeError extends Error {
  override readonly name = "MissingTypeError";

  /**
   * @param struct the struct's name
   * @param member the path of the member that is missing; undefined when the struct is
   * @param origin where the types come from
   */
  constructor(
    readonly struct: string,
    readonly member: string | undefined,
    readonly origin: string,
  ) {
    super(
      member === undefined
        ? `there is no struct ${struct} in ${origin}`
        : `struct ${struct} has no member ${member} in ${origin}`,
    );
  }
}

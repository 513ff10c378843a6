/** Guest memory could not be read: nothing is mapped at the address, or what is mapped there is not RAM. */
export class AddressError extends Error {
  override readonly name = "AddressError";

  /**
   * @param address the first address that could not be read
   * @param what "virtual" when nothing is mapped there, "physical" when there is no RAM
   */
  constructor(
    readonly address: bigint,
    readonly what: "virtual" | "physical",
  ) {
    super(
      what === "virtual"
        ? `nothing is mapped at 0x${address.toString(16)}`
        : `physical address 0x${address.toString(16)} is not RAM`,
    );
  }
}

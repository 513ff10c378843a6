/**
 * Says why a rebox does not fit the tables of a cluster.
 *
 * @param cluster the cluster, as a message names it
 * @param place how it is named on the command line: "URL", "FOLDER"
 * @returns undefined when it fits
 */
export function findVersionProblem(
  cluster: string,
  place: string,
  { version, own }: { readonly version: number; readonly own: number },
): string | undefined {
  if (version === own) return undefined;
  const advice = version > own ? "use that version of rebox here, too" : `bring it up to date: rebox lab init --cluster ${place}`; // prettier-ignore
  return `${cluster} has tables of version ${version}, and this rebox those of version ${own}; ${advice}`;
}

import { isMap, isScalar, parseDocument, YAMLMap, type Document, type Scalar } from "yaml";
import { MachineryManagerError } from "../errors";

/** A value of one setting, with the comment above it. */
export interface NewSetting {
  readonly name: string;
  readonly value: string | readonly string[];
  readonly comment: string;
}

/** Adds a machine to the text of a YAML file; comments stay. @throws MachineryManagerError when its name is taken */
export function addToYaml(text: string, machine: string, settings: readonly NewSetting[]): string {
  const document = parse(text);
  const machines = getMachines(document);
  if (machines.has(machine)) throw new MachineryManagerError(`a machine named ${machine} already exists in the file`);
  const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
  const node = document.createNode(values) as YAMLMap;
  settings.forEach(({ comment }, index) => {
    (node.items[index]!.key as Scalar).commentBefore = ` ${comment}`;
  });
  machines.set(document.createNode(machine), node);
  return document.toString({ lineWidth: 0 });
}

/** Removes machines. @throws MachineryManagerError when one is not there */
export function deleteFromYaml(text: string, names: readonly string[]): string {
  const document = parse(text);
  const machines = getMachines(document);
  for (const name of names) {
    if (!machines.delete(name)) throw new MachineryManagerError(`there is no machine ${name} in the file`);
  }
  return document.toString({ lineWidth: 0 });
}

function parse(text: string): Document {
  const document = parseDocument(text);
  const error = document.errors[0];
  if (error) throw new MachineryManagerError(`the file is no YAML; mend it first: ${error.message}`);
  return document;
}

function getMachines(document: Document): YAMLMap {
  const known = document.get("machines", true);
  if (isMap(known)) return known;
  const machines = new YAMLMap(document.schema);
  // What stands below "machines:" while there are none is comment only.
  if (isScalar(known)) machines.commentBefore = known.commentBefore ?? known.comment ?? null;
  document.set("machines", machines);
  return machines;
}

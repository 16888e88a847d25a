// The schemas of docs/schema, and what of a document they do not describe.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './child.js';

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

export function loadSchema(file: string): Schema {
  return JSON.parse(readFileSync(join(packageRoot, 'docs', 'schema', file), 'utf8')) as Schema;
}

/** Places in the document that the schema says nothing of: readers would not know what they mean. */
export function undescribed(document: unknown, file: string): string[] {
  return walk(document, [{ schema: loadSchema(file), file }], '');
}

interface Placed {
  readonly schema: Schema;
  readonly file: string;
}

function walk(value: unknown, placed: readonly Placed[], path: string): string[] {
  if (value === null || typeof value !== 'object') return [];
  const schemas = placed.flatMap(flatten);
  if (Array.isArray(value)) {
    const items = schemas.flatMap(({ schema, file }) =>
      schema.items === undefined ? [] : [{ schema: schema.items, file }],
    );
    return value.flatMap((item, index) => walk(item, items, `${path}[${index}]`));
  }
  return Object.entries(value).flatMap(([name, part]) => {
    const at = `${path}.${name}`;
    const found = schemas.flatMap(({ schema, file }) => {
      const described = schema.properties?.[name] ?? schema.additionalProperties;
      return described === undefined ? [] : [{ schema: described, file }];
    });
    return found.length === 0 ? [at] : walk(part, found, at);
  });
}

/** The schema with all that it refers to or is made of. */
function flatten({ schema, file }: Placed): Placed[] {
  const parts = [...(schema.anyOf ?? []), ...(schema.allOf ?? [])].map((part) => ({ schema: part, file }));
  const referred = schema.$ref === undefined ? [] : [resolve(schema.$ref, file)];
  return [{ schema, file }, ...[...parts, ...referred].flatMap(flatten)];
}

function resolve(reference: string, file: string): Placed {
  const [target, pointer = ''] = reference.split('#') as [string, string?];
  const within = target === '' ? file : target;
  const steps = pointer.split('/').slice(1);
  const schema = steps.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], loadSchema(within));
  return { schema: schema as Schema, file: within };
}

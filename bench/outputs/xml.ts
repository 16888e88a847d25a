// XML 1.0 as text.

/** What XML 1.0 has no way to write: most control characters, halves of pairs, two code points that are none. */
const unwritable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones meant
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Inside an element. */
export function text(value: string): string {
  return value.replace(unwritable, '\ufffd').replace(/[&<>"]/g, (character) => entities[character] as string);
}

/** Each with a space before it. Line breaks would be read as spaces. */
export function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${text(String(value)).replace(/[\t\n\r]/g, (c) => `&#${c.charCodeAt(0)};`)}"`)
    .join('');
}

/** With each of its parts on a line of its own. */
export function element(
  name: string,
  values: Readonly<Record<string, string | number>>,
  parts: readonly string[],
): string {
  const begin = `<${name}${attributes(values)}`;
  return parts.length === 0 ? `${begin}/>` : `${begin}>\n${parts.join('\n')}\n</${name}>`;
}

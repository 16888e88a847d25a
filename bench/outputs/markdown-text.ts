// Any text as Markdown that shows it as it is: in cells of tables, too, and without calling anybody by @name.

/** Longer ones would make a table that nobody reads, and a summary that is refused for its size. */
const longest = 200;

/** Words, as part of a sentence or a cell. */
export function words(value: string): string {
  // Nothing is taken as Markdown that was written as a number. Names and issues are looked for in what comes of it,
  // hence the space of no width behind their signs.
  return shortened(value)
    .replace(/[!"#$&'*<=>?@[\\\]^_`{|}~]|:(?=\S)/g, entity)
    .replace(/&#(35|64);/g, '$&&#8203;');
}

/** A name, in the type of code. */
export function code(value: string): string {
  const name = shortened(value);
  if (/^[\w./:@ +-]+$/.test(name) && name.trim() === name) return `\`${name}\``;
  return `<code>${name.replace(/[^\w ./:-]/gu, entity)}</code>`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function shortened(value: string): string {
  const line = value.replace(/\s+/g, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}

function entity(character: string): string {
  return `&#${character.codePointAt(0)};`;
}

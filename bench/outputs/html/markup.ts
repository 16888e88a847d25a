// HTML that escapes what is put into it.

/** Text that is HTML already. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | string | number | null | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A template whose values are text, or HTML made by another template; null is nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...parts.map(textOf)));
}

function textOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join('');
  return String(part)
    .replaceAll('\0', '\ufffd') // HTML drops it, without a word
    .replace(/[&<>"']/g, (character) => entities[character] as string);
}

/** JSON that can stand in a script element: nothing in it ends the element or begins a comment. */
export function inlineJson(value: unknown): Markup {
  const escaped = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Markup(escaped);
}

/** A name on its own: its direction of writing does not spill into what follows. */
export function name(text: string): Markup {
  return html`<bdi class="name">${text}</bdi>`;
}

// Text that comes from elsewhere - the name of a region in a file, what a device is called - on its way to a terminal.

/**
 * What moves the cursor, rings, hides text or turns it around where it is only to be read, by Unicode's properties: control
 * characters (C0, DEL, C1), separators of lines, marks of direction, halves of a character; and the byte order mark.
 */
const harmful = String.raw`[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\ufeff]`;

/** Made at its first use: a literal with properties costs those who only load this file a twentieth of that. */
let expression: RegExp | undefined;

function replaced(text: string, how: (character: string) => string): string {
  expression ??= new RegExp(harmful, 'gu');
  return text.replace(expression, how);
}

/** One line that does nothing but stand there. What is harmful is written as JSON has it, such as \u001b. */
export function harmless(text: string): string {
  return replaced(text, escaped);
}

/** The same of text with lines and tabs of its own. JSON means what it meant. */
export function harmlessLines(text: string): string {
  return replaced(text, (one) => (one === '\n' || one === '\t' ? one : escaped(one)));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

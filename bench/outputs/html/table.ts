// Tables, as they are without a script. The page's script lets their columns be sorted. Those of figures have many columns: where
// the page is too narrow for them, each row becomes a card, in which every cell says what its column is.
import { html, type Markup } from './markup.js';

export interface Column<T> {
  readonly title: string;
  /** What the title leaves open. */
  readonly hint?: string;
  readonly cell: (item: T) => Markup | string;
  /** Sentences stand in it. */
  readonly wide?: boolean;
  /** What to sort by: null comes last. Without it, the column is sorted by its text. */
  readonly by?: (item: T) => number | null;
}

export function table<T>(caption: string, columns: readonly Column<T>[], items: readonly T[]): Markup {
  const kind = columns.some(({ by }) => by !== undefined) ? html` class="figures"` : null;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table${kind}>
<caption>${caption}</caption>
<thead><tr>${columns.map(heading)}</tr></thead>
<tbody>${items.map((item) => html`<tr>${columns.map((column) => cell(column, item))}</tr>\n`)}</tbody>
</table></div>`;
}

function heading<T>({ title, hint, by }: Column<T>): Markup {
  const about = hint === undefined ? null : html` title="${hint}"`;
  return html`<th scope="col"${by === undefined ? null : html` class="number"`}${about}>${title}</th>`;
}

function cell<T>({ title, cell, by, wide = false }: Column<T>, item: T): Markup {
  const column = html` data-column="${title}"`;
  if (by === undefined) return html`<td${wide ? html` class="wide"` : null}${column}>${cell(item)}</td>`;
  return html`<td class="number"${column} data-by="${by(item) ?? ''}">${cell(item)}</td>`;
}

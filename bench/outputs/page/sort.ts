// Tables that are sorted by a click on the head of a column, and once more for the other way round.

type Direction = 'ascending' | 'descending';

export function makeSortable(table: HTMLTableElement): void {
  const heads = [...table.querySelectorAll<HTMLTableCellElement>('thead th')];
  for (const [column, head] of heads.entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const direction = head.ariaSort === 'ascending' ? 'descending' : 'ascending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.ariaSort = direction;
      sortRows(table, column, direction);
    });
  }
}

function sortRows(table: HTMLTableElement, column: number, direction: Direction): void {
  const body = table.tBodies[0];
  if (body === undefined) return;
  const way = direction === 'ascending' ? 1 : -1;
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[column]) }));
  rows.sort((a, b) => compareKeys(a.key, b.key, way));
  body.append(...rows.map(({ row }) => row));
}

type Key = number | string | null;

function keyOf(cell: HTMLTableCellElement | undefined): Key {
  const by = cell?.dataset['by'];
  if (by === undefined) return cell?.textContent ?? '';
  return by === '' ? null : Number(by);
}

/** What has no value stays at the end, whichever way round. */
function compareKeys(a: Key, b: Key, way: number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === 'number' && typeof b === 'number') return (a - b) * way;
  return String(a).localeCompare(String(b), 'en', { numeric: true }) * way;
}

// Which bytes of a read have come: a server may send them in any order, and none of them twice.

/** Stretches that do not touch: what comes in order is one. */
const mostStretches = 256;

/** A set of bytes, by where they begin and end. */
export class Coverage {
  /** In order; begins and ends by turns. */
  readonly #bounds: number[] = [];

  /** Whether all is there up to `length`. */
  isAll(length: number): boolean {
    return length === 0 || (this.#bounds.length === 2 && this.#bounds[0] === 0 && this.#bounds[1] === length);
  }

  /** Adds the bytes from `start` on, up to `end`. False where some are there already, or all is in too many pieces. */
  add(start: number, end: number): boolean {
    const bounds = this.#bounds;
    let at = bounds.length;
    while (at > 0 && (bounds[at - 2] as number) > start) at -= 2;
    const before = at === 0 ? -1 : (bounds[at - 1] as number);
    const behind = at === bounds.length ? Number.POSITIVE_INFINITY : (bounds[at] as number);
    if (before > start || behind < end) return false;
    const [touchesBefore, touchesBehind] = [before === start, behind === end];
    if (touchesBefore && touchesBehind) bounds.splice(at - 1, 2);
    else if (touchesBefore) bounds[at - 1] = end;
    else if (touchesBehind) bounds[at] = start;
    else bounds.splice(at, 0, start, end);
    return bounds.length <= 2 * mostStretches;
  }
}

// Bytes that lie in several pieces.

/** The bytes of several pieces from one place to another. */
export function partOf(pieces: readonly Uint8Array[], from: number, to: number): readonly Uint8Array[] {
  if (from === 0 && pieces.length === 1 && pieces[0]?.length === to) return pieces;
  const found: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [start, end] = [Math.max(from - at, 0), Math.min(to - at, piece.length)];
    if (start < end) found.push(piece.subarray(start, end));
    at += piece.length;
  }
  return found;
}

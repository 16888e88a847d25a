// Bytes as lines: offset, sixteen bytes in hex, the same as text. A run of equal lines is told by one '*'.

const lineBytes = 16;

// What each byte looks like.
const cells = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const characters = cells.map((_, byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'));

/**
 * The lines of each of the pieces, which follow one another from `offset` on; each but the last is a multiple of 16 bytes.
 * The last line has the offset of the end.
 */
export function* hexdump(offset: number, pieces: Iterable<Uint8Array>): Generator<string> {
  let at = offset;
  let before = '';
  let starred = false;
  for (const piece of pieces) {
    let text = '';
    for (let start = 0; start < piece.length; start += lineBytes) {
      const line = lineOf(piece.subarray(start, start + lineBytes));
      if (line !== before) text += `${address(at)} ${line}\n`;
      else if (!starred) text += '*\n';
      starred = line === before;
      before = line;
      at += Math.min(lineBytes, piece.length - start);
    }
    yield text;
  }
  yield `${address(at)}\n`;
}

function address(offset: number): string {
  return offset.toString(16).padStart(8, '0');
}

function lineOf(bytes: Uint8Array): string {
  let line = '';
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    line += i === lineBytes / 2 ? `  ${cells[byte]}` : ` ${cells[byte]}`;
    text += characters[byte];
  }
  return `${line.padEnd(3 * lineBytes + 1)}  |${text}|`;
}

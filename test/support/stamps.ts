// What tests write into the sectors of a disk: each says which write it is of, and where it belongs, in all of its bytes.

export const sectorBytes = 512;
const stampBytes = 16;

/** What was read of a sector: the write that it is of, 0 for zeros; or what else is there. */
export type Read = { readonly value: number } | { readonly wrong: string };

export function stamped(sector: number, count: number, value: number): Buffer {
  const bytes = Buffer.alloc(count * sectorBytes);
  for (let at = 0; at < bytes.length; at += stampBytes) {
    bytes.writeDoubleBE(value, at);
    bytes.writeDoubleBE(value === 0 ? 0 : sector + Math.floor(at / sectorBytes), at + 8);
  }
  return bytes;
}

export function readStamps(sector: number, bytes: Buffer): Read[] {
  return Array.from({ length: bytes.length / sectorBytes }, (_, i) => {
    return readStamp(sector + i, bytes.subarray(i * sectorBytes, (i + 1) * sectorBytes));
  });
}

function readStamp(sector: number, bytes: Buffer): Read {
  const value = bytes.readDoubleBE(0);
  if (bytes.equals(stamped(sector, 1, value))) return { value };
  const found = new Set<string>();
  for (let at = 0; at < sectorBytes; at += stampBytes) {
    found.add(`${bytes.readDoubleBE(at)} for sector ${bytes.readDoubleBE(at + 8)}`);
  }
  return { wrong: [...found].join(', ') };
}

// Names that somebody may have meant.

/** The least number of letters to put in, take away or replace on the way from one word to the other. */
export function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}

/** Up to `count` of the names, those first that have the word in them, then the nearest. */
export function near(word: string, names: readonly string[], count = 3): string[] {
  const rank = (name: string): number => (name.includes(word) ? -1 : distance(word, name));
  return [...names].sort((a, b) => rank(a) - rank(b)).slice(0, count);
}

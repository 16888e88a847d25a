// Holm's correction: of many comparisons some look like findings by chance. S. Holm, A simple sequentially rejective
// multiple test procedure, Scandinavian Journal of Statistics 6 (1979).

/**
 * The confidence that each of many comparisons has to be held to, so that with probability `level` none at all is a
 * finding by chance. The smallest p-value gets the hardest test, the next one an easier, until the first that fails: those
 * behind it are held to what that one was.
 */
export function holmLevels(pValues: readonly number[], level: number): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  const levels = new Array<number>(pValues.length);
  const alpha = 1 - level;
  let tests = pValues.length;
  for (const index of order) {
    const share = alpha / tests;
    levels[index] = 1 - share;
    if ((pValues[index] as number) <= share) tests--;
  }
  return levels;
}

// How much work the heavy tests do. A machine that is emulated instruction by instruction is 10 to 30 times slower:
// there ISMIO_TEST_SCALE=0.05 keeps every test and shrinks the random ones.

const scale = positive('ISMIO_TEST_SCALE', 1);

/** Cases of the planner's oracle. */
export const oracleCases = positive('ISMIO_ORACLE_CASES', 20_000);

/** `count` repetitions on a machine of usual speed, fewer on a slow one. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** A limit on time that a slow machine may stretch. */
export function patience(milliseconds: number): number {
  return milliseconds * Math.max(1, Math.min(30, 1 / scale));
}

function positive(name: string, otherwise: number): number {
  const given = process.env[name];
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0, not '${given}'`);
  return value;
}

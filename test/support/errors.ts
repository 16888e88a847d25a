// What a refusal has to look like, in one place: its class, its stable code, and the values it names.
import assert from 'node:assert/strict';
import type { ErrorCode, ErrorValues, IsmioError } from 'ismio';

type Refusal = Error & ErrorValues & { code: ErrorCode };
type Class = typeof RangeError | typeof TypeError | typeof IsmioError;

/** Checks that `act` throws an error of exactly this class with this code and these values; the error. */
export function throwsCode(act: () => unknown, type: Class, code: ErrorCode, values: ErrorValues = {}): Refusal {
  let error: unknown;
  try {
    const result = act();
    assert.fail(`expected ${code}, but it answered ${String(result)}`);
  } catch (thrown) {
    error = thrown;
  }
  return checkError(error, type, code, values);
}

/** The same of a promise. */
export async function rejectsCode(
  promise: Promise<unknown>,
  type: Class,
  code: ErrorCode,
  values: ErrorValues = {},
): Promise<Refusal> {
  const error = await promise.then(
    (result) => assert.fail(`expected ${code}, but it resolved with ${JSON.stringify(result)}`),
    (reason: unknown) => reason,
  );
  return checkError(error, type, code, values);
}

function checkError(error: unknown, type: Class, code: ErrorCode, values: ErrorValues): Refusal {
  if (error instanceof assert.AssertionError) throw error;
  const refusal = error as Refusal;
  assert.equal(refusal.code, code, `expected ${code}, got ${refusal.stack}`);
  assert.equal(Object.getPrototypeOf(refusal), type.prototype, `${code} must be a ${type.name}, not a ${refusal.name}`);
  assert.ok(refusal.message.length > 10, 'the message says what is wrong');
  for (const [name, value] of Object.entries(values)) {
    assert.deepEqual(refusal[name], value, `error.${name}`);
  }
  return refusal;
}

/** Whatever `act` throws; fails when it does not. */
export function thrownBy(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    return error as Refusal;
  }
  return assert.fail('expected an error');
}

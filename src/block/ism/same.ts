// Whether a target that was found again has the disk that it had before.
import { IsmioError } from '../../support/errors.js';
import type { Welcome } from './dialogue.js';
import { diskFlag } from './wire.js';

/**
 * What programs were told of the disk stays true, or it is of no use to them.
 * @throws IsmioError ERR_ISMIO_BLOCK with the reason 'another'
 */
export function checkSame(name: string, before: Welcome, welcome: Welcome): void {
  const mayLess = (before.flags & ~welcome.flags & ~diskFlag.readOnly & ~diskFlag.othersWrote) !== 0;
  const becameReadOnly = (welcome.flags & ~before.flags & diskFlag.readOnly) !== 0;
  const isGone = (before.flags & diskFlag.lasting) === 0 && before.life !== welcome.life;
  const isLike = before.size === welcome.size && before.ioBytes <= welcome.ioBytes && !mayLess && !becameReadOnly;
  const isSame = isLike && !isGone;
  if (isSame) return;
  const how = isGone && isLike ? 'its target has ended, and had it in memory' : `it has ${welcome.size} bytes`;
  const text = `${name} is another disk than before: ${how}`;
  throw new IsmioError('ERR_ISMIO_BLOCK', text, { reason: 'another', size: Number(welcome.size) });
}

// What a server's welcome may say, and what follows from it.

import type { ValuesOf } from '../ism/talk/messages.js';
import type { Replay } from './options.js';
import { sizeOf } from './size.js';
import type { ConsoleRole } from './view.js';
import { broken, type FromServer, positionOf, version, wordOf } from './wire.js';

export type Welcome = ValuesOf<FromServer['welcome']['fields']>;

/** @throws IsmioError ERR_ISMIO_CONSOLE where a server says what cannot be */
export function checkWelcome({
  version: spoken,
  life,
  start,
  end,
  columns,
  rows,
  xPixels,
  yPixels,
  role,
}: Welcome): void {
  if (spoken !== version) throw broken(`it welcomes in version ${spoken}`, { version: spoken });
  if (life === 0n || start > end) throw broken(`a life of ${life} has what was said from ${start} to ${end}`);
  positionOf(end, 'end');
  sizeOf({ columns, rows, xPixels, yPixels });
  roleOf(role);
}

/** @throws IsmioError ERR_ISMIO_CONSOLE */
export function roleOf(number: number): ConsoleRole {
  return wordOf(['view', 'write'], number, 'role');
}

/** The position of the first byte that comes; null where the screen tells it. */
export function beginning(replay: Replay, { life, start, end }: Welcome): number | null {
  if (replay === 'screen') return null;
  if (replay === 'none') return Number(end);
  if ('last' in replay) return Math.max(Number(start), Number(end) - replay.last);
  if (replay.life !== 0n && replay.life !== life) return 0;
  return Number(replay.from < end ? replay.from : end);
}

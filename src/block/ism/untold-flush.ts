// A flush that failed, of which no writer was told: its session was lost before the answer was heard, or only reads. What it should
// have kept may be lost, and to ask the medium again gives no such answer: a kernel tells of it once. So the next flush of whoever
// writes fails.
import { type BlockDevice, type Done, diskError } from '../disk.js';
import type { Errno } from '../errno.js';

export class UntoldFlush {
  #errno: Errno | null = null;

  failed(errno: Errno): void {
    this.#errno = errno;
  }

  /** Flushes, and fails besides where another flush did, before it or meanwhile. */
  flush(disk: BlockDevice): Done {
    const before = this.#take();
    const done = disk.flush();
    if (done === undefined && before === null) return done;
    return Promise.resolve(done).then(() => {
      const errno = before ?? this.#take();
      if (errno !== null) throw diskError(disk.name, 'another flush, of which no writer was told,', errno, {});
    });
  }

  #take(): Errno | null {
    const errno = this.#errno;
    this.#errno = null;
    return errno;
  }
}

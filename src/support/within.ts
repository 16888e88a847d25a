// What may never come is waited for, and no longer than a while.
import { clearTimeout, setTimeout } from 'node:timers';

/**
 * Resolves when what `wait` was given is called, or after so many milliseconds. Which of the two it was, it does not say: whoever
 * has to know looks at what it waited for.
 */
export function within(milliseconds: number, wait: (came: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wait(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

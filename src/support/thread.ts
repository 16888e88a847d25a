// Which thread this is, and what is its own.
//
// What belongs to the thread that made it says so: postMessage and structuredClone would else make a thing of it that looks
// like it and has no methods. They refuse symbols, and name the one they met.
import { readlinkSync } from 'node:fs';
import { workerThreads } from './builtins.js';

/** No Worker runs on the thread that the process began with; on others Node.js is asked, which has it loaded there. */
export const isMainThread: boolean = isFirstThread() || workerThreads().isMainThread;

/** False as well where that cannot be read. */
function isFirstThread(): boolean {
  try {
    const [process, , thread] = readlinkSync('/proc/thread-self').split('/'); // '23/task/42'
    return process === thread;
  } catch {
    return false;
  }
}

/** In messages and in names: as no other thread of the process has it. */
export const threadNumber = (): number => (isMainThread ? 0 : workerThreads().threadId);

/** The value of an own property of whatever must not be posted to another thread. */
export const ofThisThread: symbol = Symbol(
  'it belongs to the thread that made it; a Pool takes regions to its workers',
);

// What is to be done when this thread's process ends, or the Worker that it is: one 'exit' listener for all of the package,
// however many transfers and recorders there are. A listener for each would be taken for a leak from the eleventh on.

const callbacks = new Set<{ readonly callback: () => void }>();

/** The last that was asked for is the first, as atexit has it. One that throws keeps none of the others from running. */
function runAll(): void {
  const errors: unknown[] = [];
  for (const { callback } of [...callbacks].reverse()) {
    try {
      callback();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/**
 * Calls `callback` when this process, or this Worker, emits 'exit'. Listeners that the program has added may run before or
 * after it: Node.js calls them in the order in which they were added, and takes no more once it has begun.
 * @returns takes it back; to call it again does nothing
 */
export function atExit(callback: () => void): () => void {
  const entry = { callback };
  if (callbacks.size === 0) process.on('exit', runAll);
  callbacks.add(entry);
  return () => {
    if (callbacks.delete(entry) && callbacks.size === 0) process.off('exit', runAll);
  };
}

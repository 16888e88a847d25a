// What belongs to the thread that made it says so: postMessage and structuredClone would else make a thing of it that looks
// like it and has no methods. They refuse symbols, and name the one they met.

/** The value of an own property of whatever must not be posted to another thread. */
export const ofThisThread: symbol = Symbol(
  'it belongs to the thread that made it; a Pool takes regions to its workers',
);

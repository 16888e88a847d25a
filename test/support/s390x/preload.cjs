'use strict';
// Required first by every emulated Node.js: what starts `process.execPath` then starts the wrapper, and the environment
// is again what the caller of the wrapper had.
process.execPath = process.argv[0] = process.env.S390X_WRAPPER;
delete process.env.LD_PRELOAD; // a library of the emulated machine, of no use to programs of the host
const { S390X_NODE_OPTIONS: options } = process.env;
if (options === '') delete process.env.NODE_OPTIONS;
else process.env.NODE_OPTIONS = options;
delete process.env.S390X_NODE_OPTIONS;

// A program of this Node.js may not end where V8 finishes a collection while the environment is taken down: what is to be
// called for a FinalizationRegistry may not be called any more, and is asked for again without end. Emulated, it is slow
// enough for that to happen. So nothing is taken down here; Workers are as ever.
if (require('node:worker_threads').isMainThread) {
  const { emit } = process;
  let nothingLeft = false; // an exception that nobody caught is told after 'exit'
  process.emit = function emitAndEnd(name, ...values) {
    const heard = emit.call(this, name, ...values);
    if (name === 'beforeExit') nothingLeft = true;
    if (name === 'exit' && nothingLeft) process.reallyExit(process.exitCode ?? 0);
    return heard;
  };
}

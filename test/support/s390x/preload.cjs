'use strict';
// Required first by every emulated Node.js: what starts `process.execPath` then starts the wrapper, and the environment
// is again what the caller of the wrapper had.
process.execPath = process.argv[0] = process.env.S390X_WRAPPER;
delete process.env.LD_PRELOAD; // a library of the emulated machine, of no use to programs of the host
const { S390X_NODE_OPTIONS: options } = process.env;
if (options === '') delete process.env.NODE_OPTIONS;
else process.env.NODE_OPTIONS = options;
delete process.env.S390X_NODE_OPTIONS;

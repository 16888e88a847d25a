// What `require('ismio')` gives: the same names as `import`.
export * from './index.js';

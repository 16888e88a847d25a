// Which JavaScript runtime this is, where they differ in what an addon may ask of them.

/** 'bun' and 'deno' call themselves Node.js as well; what they are they say beside it. */
export const runtime: 'node' | 'bun' | 'deno' =
  process.versions['bun'] !== undefined ? 'bun' : process.versions['deno'] !== undefined ? 'deno' : 'node';

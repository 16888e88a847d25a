// How files in the folder of ISMIO_RECORD end: a recording, and the reason why there is none.
export const suffixes = { recorded: '.ismrec', failed: '.failed' } as const;

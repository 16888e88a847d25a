// What programs import as ismio/record/auto: recording as the environment asks for it, in this thread and from now on. (The
// package looks by itself when the first region is opened; with this the recorder is loaded beforehand.)
import { recordOpened } from './environment.js';
import { recordWhereWanted } from './wanted.js';

recordWhereWanted(recordOpened);

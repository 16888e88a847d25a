// What programs import as ismio/record: recordings of what regions are asked for, and what can be done with them.
export type { Metadata } from './format.js';
export type { RecordedOperation } from './operation.js';
export { inspectRecording, type ReadOptions, type RecordingInfo, readRecording } from './operations.js';
export type { Recalled } from './recall.js';
export { type Recorded, type Recorder, type RecordOptions, record } from './recorder.js';
export { type ReplayOptions, replay } from './replay.js';
export type { ReplayQueue, ReplayRegion } from './replay-region.js';
export type { ReplayedRegion, ReplayReport } from './report.js';
export type { RecordedRegion } from './run.js';
export type { Verified } from './verifier.js';

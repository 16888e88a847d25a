// The timeline of a workload, from what the package's channels tell while some batches run.
import diagnostics from 'node:diagnostics_channel';
import type { BatchMessage, ShardMessage } from 'ismio';
import { since, stagesSoFar, timeStages } from './stages.js';
import type { Opened } from './subject.js';
import { type Slice, Trace } from './trace.js';

/** More would make a file that takes long to open, and say nothing new. */
const mostMessages = 5000;
const longest = 300e6; // nanoseconds

const here = 'main';

/** Runs the workload for a moment, and draws what happened. */
export async function drawTimeline(title: string, opened: Opened): Promise<Trace> {
  const trace = new Trace(title, here);
  let messages = 0;
  timeStages(opened, true);
  await opened.running.batch();
  let before = stagesSoFar(opened);
  const onBatch = (message: unknown): void => {
    if (messages++ >= mostMessages) return;
    const now = stagesSoFar(opened);
    drawBatch(trace, message as BatchMessage, since(now, before));
    before = now;
  };
  const onShard = (message: unknown): void => {
    if (messages++ < mostMessages) drawShard(trace, message as ShardMessage);
  };
  diagnostics.subscribe('ismio:batch', onBatch);
  diagnostics.subscribe('ismio:shard', onShard);
  try {
    const began = process.hrtime.bigint();
    while (messages < mostMessages && Number(process.hrtime.bigint() - began) < longest) {
      const from = Number(process.hrtime.bigint());
      await opened.running.batch();
      const to = Number(process.hrtime.bigint());
      trace.slice({ thread: `${here}, workload`, name: 'batch of the workload', from, to });
    }
  } finally {
    diagnostics.unsubscribe('ismio:batch', onBatch);
    diagnostics.unsubscribe('ismio:shard', onShard);
    timeStages(opened, false);
  }
  return trace;
}

type Spent = ReturnType<typeof since>;

function drawBatch(trace: Trace, message: BatchMessage, spent: Spent): void {
  const { how, thread, handedOver, began, ended, completion, error, region } = message;
  const { operations, issued, bytes, copies, merged } = completion;
  const told = { operations, issued, bytes, copies, merged, region: region.name, failed: error !== null };
  // In the region's time, the enqueue of this batch is the only one since the message before. The caller's thread does one
  // thing at a time, so what reaches back into the thing before is cut: a drain completes while the next batch is queued.
  trace.slice({
    thread: here,
    name: 'enqueue',
    from: Math.max(handedOver - spent.enqueue, trace.endOf(here)),
    to: handedOver,
  });
  trace.slice({ thread, name: how, from: began, to: ended, told });
  for (const slice of stagesWithin(thread, began, ended, spent)) trace.slice(slice);
  const completed = Number(process.hrtime.bigint());
  trace.slice({ thread: here, name: 'completion', from: Math.max(ended, trace.endOf(here)), to: completed });
  if (how === 'drain') trace.arrow({ thread: here, at: handedOver }, { thread, at: began });
}

/**
 * How much of a batch went to each stage, drawn one after the other: a batch goes through its stages many times, and when
 * it was in which is not kept.
 */
function stagesWithin(thread: string, began: number, ended: number, spent: Spent): Slice[] {
  const names = ['merge', 'plan', 'copy', 'device'] as const;
  const sum = names.reduce((total, name) => total + spent[name], 0);
  const scale = sum > ended - began ? (ended - began) / sum : 1;
  let from = began;
  return names.flatMap((name) => {
    const to = from + spent[name] * scale;
    const slice = { thread, name, from, to, told: { nanoseconds: Math.round(spent[name]) } };
    from = to;
    return spent[name] > 0 ? [slice] : [];
  });
}

function drawShard(trace: Trace, message: ShardMessage): void {
  const { kind, offset, length, thread, handedOver, began, ended, failed, region } = message;
  trace.slice({
    thread,
    name: `${kind} of a shard`,
    from: began,
    to: ended,
    told: { offset, length, region: region.name, failed },
  });
  trace.arrow({ thread: here, at: handedOver }, { thread, at: began });
}

// What a hostile peer moves into the control block: each breach ends the stream with the field's name, and is told to the peer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { End } from '../src/ism/stream/end.js';
import { checkOf, control, controlLength, flag, get, put, ringOffset } from '../src/ism/stream/layout.js';
import { type Reason, reasons } from '../src/ism/stream/reasons.js';

type Block = Partial<Record<keyof typeof control, number>>;

const ring = 4096;
const epoch = 7;

function endWith(...blocks: Block[]): { end: End; told: DataView[] } {
  const memory = new Uint8Array(ringOffset + ring);
  const told: DataView[] = [];
  const peer = { epoch: 9, ring, heartbeat: 1000 };
  const move = (_offset: number, bytes: Uint8Array): void => void told.push(new DataView(bytes.slice().buffer));
  const end = new End({ move, memory, epoch, ring, heartbeat: 1000, peer }, 0);
  for (const [index, block] of blocks.entries()) {
    forge(memory, { epoch, sequence: index + 1, ...block });
    end.signalled();
    end.flush(0);
  }
  return { end, told };
}

function forge(memory: Uint8Array, block: Block): void {
  const view = new DataView(memory.buffer);
  for (const name of Object.keys(control) as (keyof typeof control)[]) put(view, control[name], block[name] ?? 0);
  if (block.check === undefined) put(view, control.check, checkOf(view, controlLength(block.textLength ?? 0)));
}

const breaches: readonly [what: string, reason: Reason, ...blocks: Block[]][] = [
  ['an epoch of another life', 'epoch', { epoch: 8 }],
  ['a sequence that goes back', 'sequence', {}, { sequence: 0xffff_fff0 }],
  ['another block of the same sequence', 'sequence', {}, { sequence: 1, prod: 1 }],
  ['a flag that means nothing', 'flags', { flags: 32 }],
  ['a reserved word that is not 0', 'reserved', { reserved: 1 }],
  ['more than the ring holds', 'prod', { prod: ring + 1 }],
  ['a cursor of the writer that goes back', 'prod', { prod: 10 }, { prod: 9 }],
  ['a cursor beyond 2^53', 'prod', { prod: 2 ** 60 }],
  ['reading what was not published', 'cons', { cons: 1 }],
  ['text behind the cursor', 'text', { prod: 4, textLength: 5 }],
  ['text that is taken back unread', 'text', { prod: 4, textLength: 4 }, { prod: 4 }],
  ['a place of text without text', 'text', { textPosition: 1 }],
  ['an end that is taken back', 'end', { flags: flag.end }, {}],
  ['bytes behind the end', 'end', { flags: flag.end }, { flags: flag.end, prod: 1 }],
  ['done before both have ended', 'done', { flags: flag.end | flag.done }],
  ['arms that go back', 'arms', { arms: 2 }, { arms: 1 }],
  ['an answer to what was not asked', 'answers', { answers: 1 }],
  ['a reason without an abort', 'reason', { reason: 1 }],
  ['an abort without a reason', 'reason', { flags: flag.abort }],
];

for (const [what, reason, ...blocks] of breaches) {
  test(`${what} ends the stream, and is told`, () => {
    const { end, told } = endWith(...blocks);
    assert.deepEqual([end.over, end.error?.code, end.error?.['reason']], [true, 'ERR_ISMIO_ISM_STREAM', reason]);
    const last = told.at(-1) as DataView;
    assert.equal(get(last, control.flags) & flag.abort, flag.abort);
    assert.equal(get(last, control.reason), reasons[reason]);
  });
}

test('a block that stays torn ends the stream after a second, not before', () => {
  for (const block of [{ check: 1 }, { textLength: 201 }]) {
    const { end } = endWith(block);
    for (let now = 0; now < 1000; now += 100) end.tick(now);
    assert.equal(end.over, false);
    end.tick(1001);
    assert.deepEqual([end.over, end.error?.['reason']], [true, 'check']);
  }
});

test('an abort of the peer is its error here, whatever number it gives as its reason', () => {
  const { end } = endWith({ flags: flag.abort, reason: 12_345 });
  assert.deepEqual([end.error?.code, end.error?.['reason']], ['ERR_ISMIO_ISM_ABORTED', 'reason 12345']);
});

test('a peer that has ended, and reads nothing of the rest for a minute, is given up; each byte that it reads is a minute more', () => {
  const memory = new Uint8Array(ringOffset + ring);
  const told: DataView[] = [];
  const move = (_offset: number, bytes: Uint8Array): void => void told.push(new DataView(bytes.slice().buffer));
  const end = new End({ move, memory, epoch, ring, heartbeat: 1000, peer: { epoch: 9, ring, heartbeat: 1000 } }, 0);
  end.offer(Buffer.from('last bytes'));
  end.finish();
  end.flush(0);
  let sequence = 0;
  const until = (time: number, from: number, cons: number): void => {
    for (let now = from; now < time && !end.over; now += 250) {
      forge(memory, { epoch, sequence: ++sequence, flags: flag.end, cons });
      end.tick(now);
      end.flush(now);
    }
  };
  until(50_000, 250, 0);
  until(100_000, 50_000, 3);
  assert.equal(end.over, false);
  until(120_000, 100_000, 3);
  assert.equal(end.over, true);
  assert.equal(get(told.at(-1) as DataView, control.reason), reasons.unread);
});

// Builds that differ from this checkout in a known way: the engine's sources with one passage changed.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/support/package.js';

export interface Variant {
  /** What is different. */
  readonly title: string;
  readonly file: string;
  /** A passage that the file has once. */
  readonly passage: string;
  readonly instead: string;
}

const loadWords =
  'Status Issuer::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {\n';

/**
 * Turns of an empty loop in front of every run of 8-byte loads: ISMIO_CHECK_DELAY of them where it is armed, else none.
 * One word of data tells the two builds apart, so that no function lies elsewhere in one than in the other.
 */
export const slowReads = (armed: boolean): Variant => ({
  title: 'a delay in front of every run of 8-byte loads',
  file: 'native/exec/issuer.cc',
  passage: loadWords,
  instead: `${loadWords}
  static volatile int armed = ${armed ? 1 : 2};
  static const char* const told = std::getenv("ISMIO_CHECK_DELAY");
  static const int turns = told == nullptr || armed != 1 ? 0 : std::atoi(told);
  for (int i = 0; i < turns; i++) asm volatile("" ::: "memory");
`,
});

const storeWords = 'Status Issuer::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {\n';

export const oneMoreStore: Variant = {
  title: 'one store more of a thousand',
  file: 'native/exec/issuer.cc',
  passage: storeWords,
  instead: `${storeWords}
  static uint64_t sum = 0;
  const uint64_t before = sum / 1000;
  sum += count;
  if (sum / 1000 != before) {
    const Status again = store(words[0].offset, reinterpret_cast<const uint8_t*>(&words[0].bytes), 8, failure);
    if (again != Status::ok) return again;
  }
`,
};

const gather = '      payload_.copy(gathered(end_), bytes, length);\n';

export const oneMoreCopy: Variant = {
  title: 'one copy more of every short write that is merged',
  file: 'native/plan/merger.h',
  passage: gather,
  instead: gather + gather,
};

export const noCounters: Variant = {
  title: 'no counters',
  file: 'native/region/counter.h',
  passage:
    'void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }',
  instead: 'void add(uint64_t) {}',
};

/** A copy of this checkout, with the variant in it where there is one, built. */
export function buildVariant(variant: Variant | null, scratch: string): string {
  const folder = mkdtempSync(join(scratch, 'variant-'));
  for (const part of ['package.json', 'binding.gyp', 'dist', 'native', 'bench']) {
    cpSync(join(packageRoot, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  if (variant !== null) change(join(folder, variant.file), variant);
  // By way of npm, which knows where Node.js' headers are.
  execFileSync('npm', ['run', 'build:native'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return folder;
}

function change(path: string, { passage, instead }: Variant): void {
  const parts = readFileSync(path, 'utf8').split(passage);
  if (parts.length !== 2) throw new Error(`${path} has not once, but ${parts.length - 1} times: ${passage}`);
  writeFileSync(path, parts.join(instead));
}

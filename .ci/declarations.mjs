// Declarations for TypeScript: a file for each subpath of the package in dist/types/, and one with what they have in common.
// For those who `require`, copies in a folder whose package.json says that it is CommonJS. (One file that re-exported the
// others would not do: they would be those of modules still, TS1479.)
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';

process.chdir(join(import.meta.dirname, '..'));
const types = 'dist/types';

const rolled = await rolldown({
  input: {
    ismio: 'dist/src/index.d.ts',
    record: 'dist/src/record/index.d.ts',
    'record-auto': 'dist/src/record/auto.d.ts',
    device: 'dist/src/device.d.ts',
    ism: 'dist/src/ism.d.ts',
    console: 'dist/src/console.d.ts',
    block: 'dist/src/block.d.ts',
  },
  external: /^node:/,
  plugins: [dts({ dtsInput: true, sourcemap: false })],
});
rmSync(types, { recursive: true, force: true });
const { output } = await rolled.write({ dir: types, entryFileNames: '[name].d.ts', chunkFileNames: 'shared.d.ts' });

mkdirSync(join(types, 'cjs'));
writeFileSync(join(types, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
for (const { fileName } of output) cpSync(join(types, fileName), join(types, 'cjs', fileName));

// The package's exports as TypeScript sees them, types included.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import ts from 'typescript';
import { packageRoot } from './child.js';

const path = join(packageRoot, 'src', 'index.ts');
const { config } = ts.readConfigFile(join(packageRoot, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [path] }, ts.sys, packageRoot);
const program = ts.createProgram([path], options);

export const checker = program.getTypeChecker();

export function exported(): ts.Symbol[] {
  const file = program.getSourceFile(path);
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  assert.ok(module !== undefined);
  return checker
    .getExportsOfModule(module)
    .map((one) => (one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one));
}

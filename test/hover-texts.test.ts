// What an editor shows of the package's exports: each has a text, which is a sentence.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { packageRoot } from './support/child.js';

const path = join(packageRoot, 'src', 'index.ts');
const { config } = ts.readConfigFile(join(packageRoot, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [path] }, ts.sys, packageRoot);
const program = ts.createProgram([path], options);
const checker = program.getTypeChecker();

function textOf(symbol: ts.Symbol): string {
  return ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim();
}

/** Begins like a sentence, or with code; ends like one; says more than the name does. */
function isSentence(text: string): boolean {
  return /^[\p{Lu}`'"]/u.test(text) && /[.!)]$/.test(text) && text.split(/\s+/).length > 3;
}

function exported(): ts.Symbol[] {
  const file = program.getSourceFile(path);
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  assert.ok(module !== undefined);
  return checker
    .getExportsOfModule(module)
    .map((one) => (one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one));
}

function methodsOf(symbol: ts.Symbol): ts.Symbol[] {
  const members = [...(symbol.members?.values() ?? [])];
  return members.filter(({ flags, declarations = [] }) => {
    const [declaration] = declarations;
    const callable = ts.SymbolFlags.Method | ts.SymbolFlags.GetAccessor;
    if ((flags & callable) === 0 || declaration === undefined) return false;
    const { name } = declaration as ts.NamedDeclaration;
    if (name === undefined || !ts.isIdentifier(name)) return false; // private, or a well-known symbol
    if (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Protected) return false;
    return !ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
  });
}

describe('what an editor shows', () => {
  test('of every export is a sentence', () => {
    const wanting = exported().filter((symbol) => !isSentence(textOf(symbol)));
    assert.deepEqual(
      wanting.map((symbol) => `${symbol.name}: ${textOf(symbol)}`),
      [],
    );
  });

  test('of every method and accessor of an export is a sentence', () => {
    const wanting = exported().flatMap((symbol) =>
      methodsOf(symbol)
        .filter((method) => !isSentence(textOf(method)))
        .map((method) => `${symbol.name}.${method.name}: ${textOf(method)}`),
    );
    assert.deepEqual(wanting, []);
  });
});
